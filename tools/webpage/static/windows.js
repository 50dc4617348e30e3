// Display windows: which values are shown from black to white, by presets or by level and width.

import { element } from "./dom.js";

const CT_PRESETS = [
  ["Soft tissue", -160, 240],
  ["Lung", -1350, 150],
  ["Bone", -450, 1050],
  ["Brain", 0, 80],
  ["Full range", -1000, 2000],
];

/** Presets of a modality as [name, low, high], in HU for CT and else in the image's own values. */
export function presetsOf(modality, suggested) {
  if (modality === "ct") return CT_PRESETS;
  const [low, high] = suggested;
  const range = high - low;
  return [
    ["Suggested", low, high],
    ["Brighter", low, low + 0.6 * range],
    ["Darker", low, low + 1.6 * range],
    ["Dark tissue", low, low + 0.35 * range],
  ];
}

/** Level and width in place of bounds, as radiologists name a window. */
export const levelAndWidth = ([low, high]) => [(low + high) / 2, high - low];

/** The window of one image: a preset, or level and width by number; `onChange` gets [low, high]. */
export class WindowControl {
  constructor(holder, name, onChange) {
    this.holder = holder;
    this.onChange = onChange;
    this.select = element("select");
    this.level = element("input", { type: "number", step: "any" });
    this.width = element("input", { type: "number", step: "any", min: "0" });
    this.select.setAttribute("aria-label", `Window preset of the ${name}`);
    this.level.setAttribute("aria-label", `Window level of the ${name}`);
    this.width.setAttribute("aria-label", `Window width of the ${name}`);
    this.select.addEventListener("change", () => this.#choosePreset());
    for (const input of [this.level, this.width]) input.addEventListener("change", () => this.#readNumbers());
    holder.replaceChildren(this.select, element("label", {}, "L ", this.level), element("label", {}, "W ", this.width));
  }

  /** Offer a modality's presets; the one that equals the suggested bounds is chosen. */
  offer(modality, suggested) {
    this.presets = presetsOf(modality, suggested);
    const names = this.presets.map(([name]) => element("option", { textContent: name, value: name }));
    this.select.replaceChildren(...names, element("option", { textContent: "Own window", value: "" }));
    this.show(suggested);
  }

  /** Show bounds that were set elsewhere, such as by dragging in the image. */
  show([low, high]) {
    const [level, width] = levelAndWidth([low, high]);
    this.level.value = Number(level.toPrecision(4));
    this.width.value = Number(width.toPrecision(4));
    const preset = this.presets.find(([, a, b]) => a === low && b === high);
    this.select.value = preset ? preset[0] : "";
  }

  #choosePreset() {
    const preset = this.presets.find(([name]) => name === this.select.value);
    if (preset === undefined) return this.level.focus();
    this.show(preset.slice(1));
    this.onChange(preset.slice(1));
  }

  #readNumbers() {
    const [level, width] = [Number(this.level.value), Number(this.width.value)];
    if (!Number.isFinite(level) || !(width > 0)) return;
    this.select.value = "";
    this.onChange([level - width / 2, level + width / 2]);
  }
}
