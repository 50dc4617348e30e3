// What is asked for: the page, the model, its direction and its options.

import { byId, element, segments } from "./dom.js";

const MODALITIES = { ct: "CT", mr: "MR", xray: "X-ray", t1: "T1", t1ce: "T1 with contrast", t2: "T2", flair: "FLAIR" };
const PAGES = {
  volume: ["CT ↔ MR", "A NIfTI, MHA or NRRD file, a DICOM folder or a zip of one."],
  radiograph: ["X-ray → CT", "A frontal chest radiograph: PNG, JPEG or DICOM."],
  volumes: [
    "Brain MRI contrasts",
    "One file for each contrast that the model needs, named by it, such as t1.nii.gz; all together.",
  ],
};

const SHORT = { seed: "seed", num_samples: "samples", num_steps: "steps" };

/** A modality as people write it; several joined by "+" become a list. */
export const nameOf = (modality) =>
  String(modality)
    .split("+")
    .map((one) => MODALITIES[one] ?? one)
    .join(" + ");

export class Request {
  /** @param onChange called after each change of the user's. */
  constructor(bundles, onChange) {
    this.bundles = bundles;
    this.onChange = onChange;
    this.kinds = Object.keys(PAGES).filter((kind) => bundles.some(({ inputs }) => inputs === kind));
    byId("pages").replaceChildren(...this.kinds.map((kind) => this.#link(kind)));
    byId("bundle").addEventListener("change", () => this.#choose(byId("bundle").value));
    byId("loading").hidden = true;
  }

  #link(kind) {
    return element("li", {}, element("a", { href: `#${kind}`, textContent: PAGES[kind][0] }));
  }

  get direction() {
    return this.bundle?.directions[this.chosen];
  }

  /** Open the page for a kind of input; what is no page opens the first. */
  open(kind) {
    this.kind = this.kinds.includes(kind) ? kind : this.kinds[0];
    for (const link of byId("pages").querySelectorAll("a")) {
      if (link.hash === `#${this.kind}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    byId("drop-help").textContent = PAGES[this.kind]?.[1] ?? "";
    const offered = this.bundles.filter(({ inputs }) => inputs === this.kind);
    const label = ({ title, ready }) => (ready ? title : `${title} (no weights)`);
    byId("bundle").replaceChildren(
      ...offered.map((bundle) => element("option", { value: bundle.name, textContent: label(bundle) })),
    );
    byId("bundle").disabled = offered.length === 0;
    this.#choose((offered.find(({ ready }) => ready) ?? offered[0])?.name);
  }

  /** Prefer the direction that starts from a modality. */
  prefer(modality) {
    const fitting = this.bundle?.directions.findIndex(({ source }) => source === modality) ?? -1;
    if (fitting >= 0) this.chosen = fitting;
    this.#offerDirections();
  }

  /** Ask again for what was asked of a job. */
  restore({ bundle, source, target, options }) {
    const asked = this.#named(bundle);
    if (asked && asked.inputs !== this.kind) this.open(asked.inputs);
    this.#choose(bundle);
    for (const { id } of this.bundle?.options ?? []) {
      if (id in options) byId(`option-${id}`).value = options[id];
    }
    const same = this.bundle?.directions.findIndex((one) => one.source === source && one.target === target) ?? -1;
    if (same >= 0) this.chosen = same;
    this.#offerDirections();
  }

  /** Which model did a job, with which options, in words. */
  madeBy({ bundle, options }) {
    const asked = this.#named(bundle);
    const values = (asked?.options ?? []).map(({ id, default: value }) => `${SHORT[id] ?? id} ${options[id] ?? value}`);
    return [asked?.title ?? bundle, ...values].join(" · ");
  }

  #named(name) {
    return this.bundles.find((bundle) => bundle.name === name);
  }

  /** The options as whole numbers, or the label of the first that is out of its bounds. */
  readOptions() {
    const values = {};
    for (const { id, label, minimum, maximum } of this.bundle.options) {
      const value = Number(byId(`option-${id}`).value);
      if (!Number.isInteger(value) || value < minimum || value > maximum) {
        return { wrong: `${label}: wanted a whole number from ${minimum} to ${maximum}.` };
      }
      values[id] = value;
    }
    return { values };
  }

  #choose(name) {
    const before = this.direction?.source;
    this.bundle = this.#named(name);
    this.chosen = 0;
    byId("bundle").value = name ?? "";
    byId("summary").textContent = this.bundle?.summary ?? "No model of this kind is here.";
    byId("why-not").hidden = !this.bundle || this.bundle.ready;
    byId("why-not").textContent = this.bundle?.why_not ?? "";
    byId("research-only").textContent = this.bundle?.research_only ?? "";
    byId("options").replaceChildren(...(this.bundle?.options ?? []).map((option) => this.#field(option)));
    this.prefer(before);
    this.onChange();
  }

  #offerDirections() {
    const label = ({ source, target }) => `${nameOf(source)} → ${nameOf(target)}`;
    const choices = (this.bundle?.directions ?? []).map((one, index) => ({ value: String(index), label: label(one) }));
    segments(byId("directions"), choices, String(this.chosen), (index) => {
      this.chosen = Number(index);
      this.onChange();
    });
    byId("directions").hidden = choices.length === 0;
  }

  #field({ id, label, default: value, minimum, maximum }) {
    const input = element("input", { type: "number", id: `option-${id}`, value, min: minimum, max: maximum, step: 1 });
    input.addEventListener("input", this.onChange);
    return element("label", {}, element("span", { textContent: label }), input);
  }
}
