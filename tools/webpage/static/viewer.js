// The viewer: the input and its translation in the same planes at the same place, compared in several ways.

import { byId, element, segments } from "./dom.js";
import { ImageView } from "./image.js";
import { WindowControl } from "./windows.js";

const PLANES = [
  ["three", "Three planes"],
  ["axial", "Axial"],
  ["coronal", "Coronal"],
  ["sagittal", "Sagittal"],
  ["volume", "3D"],
];
const AXES = ["Sagittal (right–left)", "Coronal (back–front)", "Axial (down–up)"];
const LEGENDS = {
  difference: "Result minus input: difference of shown brightness (%)",
  uncertainty: "Uncertainty: standard deviation of the samples",
};
const UNITS = { ct: "HU" }; // of an input, by its modality; other values have none that is known
const SIDES = [
  ["R", "L"],
  ["A", "P"],
  ["S", "I"],
]; // towards which an axis of the patient grows, and the other side
const choices = (pairs) => pairs.map(([value, label]) => ({ value, label }));
const sided = (millimetres, axis) => `${SIDES[axis][millimetres < 0 ? 1 : 0]} ${Math.abs(millimetres).toFixed(1)}`;
const rounded = (value) => (Number.isFinite(value) ? String(Number(value.toPrecision(4))) : "–");

export class Viewer {
  static async create() {
    const viewer = new Viewer();
    viewer.source = await new ImageView("source").attach();
    viewer.result = await new ImageView("result").attach();
    viewer.#wire();
    return viewer;
  }

  constructor() {
    this.planes = "three";
    this.layout = "single";
    this.units = {};
    this.overlays = {};
  }

  #wire() {
    for (const [name, view, other] of [
      ["source", this.source, this.result],
      ["result", this.result, this.source],
    ]) {
      const words = name === "source" ? "input" : "result";
      view.control = new WindowControl(byId(`${name}-window`), words, (window) => view.setWindow(window));
      view.onWindow = (window) => view.control.show(window);
      view.onMove = () => {
        other.follow(view);
        this.#tell(view);
      };
    }
    segments(byId("planes"), choices(PLANES), this.planes, (planes) => this.#show(planes));
    byId("swipe").addEventListener("input", () => this.#clip());
    byId("opacity").addEventListener("input", () => this.result.setOpacity(byId("opacity").value / 100));
    new ResizeObserver(() => this.volumes.length > 0 && this.#show(this.planes)).observe(byId("stage"));
    byId("dividers").addEventListener("pointerdown", (event) => this.#drag(event));
  }

  get volumes() {
    return [this.source, this.result].filter((view) => view.volume);
  }

  /** Empty the viewer; the pictures of a radiograph go with it. */
  clear() {
    this.source.clear();
    this.result.clear();
    this.overlays = {};
    byId("radiographs").hidden = true;
    byId("measures").replaceChildren();
    byId("legend").hidden = true;
  }

  /** Show an upload before it is translated. */
  async showInput({ kind, files, windows, modality, title }) {
    this.clear();
    this.units = { source: UNITS[modality] };
    if (kind === "radiograph") await this.#showRadiographs(files.source, null, {});
    else await this.#load(this.source, "source", files.source, windows.source, modality, title);
    this.#arrange(kind === "radiograph" ? "radiograph" : "single");
  }

  /** Show a finished translation beside its input. */
  async showResult({ files, windows, measures, source, target, titles, units }) {
    this.clear();
    this.units = { source: UNITS[source], result: units, uncertainty: units, difference: "%" };
    const pair = [
      ["source", this.source, source],
      ["result", this.result, target],
    ];
    const urls = { source: files.source, result: files.translation };
    const bounds = { source: windows.source, result: windows.translation };
    for (const [name, view, modality] of pair) {
      if (urls[name]) await this.#load(view, name, urls[name], bounds[name], modality, titles[name]);
    }
    if (files.radiograph) await this.#showRadiographs(files.radiograph, files.drr, measures);
    for (const kind of Object.keys(LEGENDS)) {
      if (files[kind]) this.overlays[kind] = { url: files[kind], bounds: windows[kind] };
    }
    this.#arrange(files.source ? "side" : files.radiograph ? "x-ray" : "result");
  }

  async #load(view, name, url, window, modality, title) {
    byId(`${name}-title`).textContent = title;
    view.canvas.setAttribute("aria-label", `${title}, slices`);
    await view.load(url, window);
    view.control.offer(modality, window);
  }

  async #showRadiographs(given, drr, measures) {
    byId("radiographs").hidden = false;
    byId("drr").closest("figure").hidden = !drr;
    for (const [id, url] of [
      ["radiograph", given],
      ["drr", drr],
    ]) {
      if (!url) continue;
      byId(id).src = url;
      await byId(id).decode();
    }
    const names = { ncc: "Correlation (NCC)", ssim: "SSIM", gradient_correlation: "Gradient correlation" };
    const rows = Object.entries(names).filter(([key]) => key in measures);
    byId("measures").replaceChildren(
      ...rows.flatMap(([key, name]) => [
        element("dt", { textContent: name }),
        element("dd", { textContent: measures[key] === null ? "–" : measures[key].toFixed(3) }),
      ]),
    );
  }

  #arrange(layout) {
    const compared = layout === "side";
    const overlays = Object.keys(this.overlays).map((kind) => [
      kind,
      kind === "difference" ? "Difference" : "Uncertainty",
    ]);
    segments(
      byId("layouts"),
      choices(
        compared
          ? [
              ["side", "Side by side"],
              ["swipe", "Swipe"],
            ]
          : [],
      ),
      "side",
      (chosen) => this.#setLayout(chosen),
    );
    segments(byId("overlays"), choices([["none", "None"], ...overlays]), "none", (kind) => this.#lay(kind));
    for (const id of ["planes", "viewer-help", "readout"]) byId(id).hidden = this.volumes.length === 0;
    byId("source-pane").hidden = !this.source.volume;
    byId("result-pane").hidden = !this.result.volume;
    this.#makeSliders();
    this.#setLayout(layout);
  }

  #setLayout(layout) {
    this.layout = layout;
    byId("stage").dataset.layout = layout;
    byId("swipe-field").hidden = layout !== "swipe";
    this.#show(this.planes);
  }

  #show(planes) {
    this.planes = planes;
    for (const view of this.volumes) view.show(planes);
    this.#clip();
  }

  async #lay(kind) {
    const overlay = this.overlays[kind];
    const [high, opacity] = [overlay?.bounds[1], byId("opacity").value / 100];
    const isLaid = await this.result.setOverlay(overlay ? kind : null, overlay?.url, high, opacity);
    if (!isLaid) return;
    byId("legend").hidden = !overlay;
    if (!overlay) return;
    const unit = this.units[kind] === "%" ? "" : this.units[kind];
    byId("legend-title").textContent = LEGENDS[kind];
    byId("legend-low").textContent = `${rounded(overlay.bounds[0])} ${unit}`.trim();
    byId("legend-high").textContent = `${rounded(overlay.bounds[1])} ${unit}`.trim();
    byId("legend-scale").dataset.kind = kind;
  }

  /** In the swipe, cut each plane of the result at the same fraction, so that the input shows on its left. */
  #clip() {
    const [viewport, dividers] = [this.result.viewport, byId("dividers")];
    viewport.style.clipPath = "";
    dividers.replaceChildren();
    if (this.layout !== "swipe") return;
    const fraction = byId("swipe").value / 100;
    const pieces = this.result.tiles().map(([left, top, width, height]) => {
      const cut = left + fraction * width;
      const line = element("span", { className: "divider" });
      Object.assign(line.style, { left: `${cut}px`, top: `${top}px`, height: `${height}px` });
      [line.tileLeft, line.tileWidth] = [left, width];
      dividers.append(line);
      return `M${cut} ${top}H${left + width}V${top + height}H${cut}Z`;
    });
    Object.assign(dividers.style, { left: `${viewport.offsetLeft}px`, top: `${viewport.offsetTop}px` });
    viewport.style.clipPath = pieces.length > 0 ? `path("${pieces.join("")}")` : "inset(100%)";
  }

  #drag(event) {
    const { tileLeft, tileWidth } = event.target;
    if (!(tileWidth > 0)) return;
    event.preventDefault();
    const corner = this.result.viewport.getBoundingClientRect().left;
    const move = ({ clientX }) => {
      byId("swipe").value = (100 * (clientX - corner - tileLeft)) / tileWidth;
      this.#clip();
    };
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", () => window.removeEventListener("pointermove", move), { once: true });
  }

  #makeSliders() {
    const view = this.volumes.at(-1);
    const sliders = (view ? view.voxels : []).map((count, axis) => {
      const input = element("input", { type: "range", min: 1, max: count, step: 1 });
      input.addEventListener("input", () => {
        const place = [...view.nv.scene.crosshairPos];
        place[axis] = (input.value - 0.5) / count;
        view.moveTo(place);
      });
      return element("label", {}, element("span", { textContent: AXES[axis] }), input, element("output"));
    });
    byId("slices").replaceChildren(...sliders);
    if (view) this.#tell(view);
  }

  /** Tell place and values at the crosshair, in the sliders and in words. */
  #tell(view) {
    const { voxels } = view;
    const place = [...view.nv.scene.crosshairPos];
    [...byId("slices").children].forEach((label, axis) => {
      const slice = Math.min(Math.floor(place[axis] * voxels[axis]) + 1, voxels[axis]);
      label.querySelector("input").value = slice;
      label.querySelector("output").textContent = `${slice} / ${voxels[axis]}`;
    });
    const parts = [`Place ${view.millimetres().map(sided).join(", ")} mm`];
    if (this.source.volume) {
      parts.push(`input ${rounded(this.source.values()[0])} ${this.units.source ?? ""}`.trim());
    }
    if (this.result.volume) {
      const [value, overlay] = this.result.values();
      parts.push(`result ${rounded(value)} ${this.units.result ?? ""}`.trim());
      if (overlay !== undefined) {
        parts.push(`${this.result.overlay} ${rounded(overlay)} ${this.units[this.result.overlay] ?? ""}`.trim());
      }
    }
    byId("readout").textContent = parts.join(" · ");
  }
}
