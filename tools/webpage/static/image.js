// One image on one canvas: NiiVue draws it in the planes that are asked for.

import { byId } from "./dom.js";

/* global niivue */
const AXIAL = 0,
  CORONAL = 1,
  SAGITTAL = 2,
  THREE = 3,
  RENDERED = 4;
const COLUMN = 1,
  GRID = 2,
  ROW = 3;
const DRAG_CROSSHAIR = 8,
  DRAG_WINDOWING = 9,
  NO_RENDERING = 0;
const LINE = 1.3; // width of the crosshair in pixels; a line of less than one may fall between them
const SLICE_TYPES = { three: THREE, axial: AXIAL, coronal: CORONAL, sagittal: SAGITTAL, volume: RENDERED };
const STEPS = {
  // as radiologists look at a patient: right is left, so an arrow to the left goes to the patient's right
  ArrowLeft: [1, 0, 0],
  ArrowRight: [-1, 0, 0],
  ArrowDown: [0, -1, 0],
  ArrowUp: [0, 1, 0],
  PageDown: [0, 0, -1],
  PageUp: [0, 0, 1],
};

// colours from 0, where nothing is shown, to the end of an overlay's range; grey means nearly no difference
const OPAQUE_ABOVE_0 = [0, 255, 255, 255];
const COLOURS = {
  difference: {
    R: [140, 140, 255, 255],
    G: [140, 140, 170, 80],
    B: [140, 140, 90, 0],
    A: OPAQUE_ABOVE_0,
    I: [0, 1, 128, 255],
  },
  "difference-below": {
    R: [140, 140, 90, 10],
    G: [140, 140, 170, 80],
    B: [140, 140, 255, 255],
    A: OPAQUE_ABOVE_0,
    I: [0, 1, 128, 255],
  },
  uncertainty: {
    R: [60, 160, 240, 255],
    G: [15, 30, 95, 240],
    B: [100, 110, 40, 170],
    A: OPAQUE_ABOVE_0,
    I: [0, 85, 170, 255],
  },
};
const HIDDEN_BELOW = 0.08; // of its range: too little to be of interest
const FROM_ZERO = 1; // NiiVue's COLORMAP_TYPE.ZERO_TO_MAX_TRANSPARENT_BELOW_MIN

const OPTIONS = {
  backColor: [0, 0, 0, 1],
  crosshairColor: [0.35, 0.85, 1, 0.8],
  crosshairWidthUnit: "mm",
  crosshairGap: 8,
  isCornerOrientationText: true,
  fontColor: [0.75, 0.8, 0.85, 1],
  fontMinPx: 12,
  dragAndDropEnabled: false,
  dragMode: DRAG_WINDOWING,
  dragModePrimary: DRAG_CROSSHAIR,
  isRadiologicalConvention: true,
  multiplanarShowRender: NO_RENDERING,
  multiplanarPadPixels: 4,
  tileMargin: 0,
  loadingText: "",
  logLevel: "error",
  viewModeHotKey: "",
  clipPlaneHotKey: "",
  cycleClipPlaneHotKey: "",
};

export class ImageView {
  /** @param name "source" or "result": the prefix of the ids of its canvas and viewport. */
  constructor(name) {
    this.canvas = byId(`${name}-canvas`);
    this.viewport = byId(`${name}-viewport`);
    this.nv = new niivue.Niivue(OPTIONS);
    this.onMove = () => {};
    this.onWindow = () => {};
    [this.overlay, this.url, this.turn] = [null, null, 0];
    for (const [key, colours] of Object.entries(COLOURS)) this.nv.addColormap(key, colours);
    this.nv.onLocationChange = (place) => this.onMove(place);
    this.viewport.addEventListener("keydown", (event) => this.#onKey(event), true);
    this.viewport.addEventListener("dblclick", (event) => this.#onDoubleClick(event), true);
    window.addEventListener("mouseup", () => this.#tellWindow());
  }

  async attach() {
    await this.nv.attachToCanvas(this.canvas);
    return this;
  }

  get volume() {
    return this.nv.volumes[0];
  }

  /** Size of the image in mm along right-left, back-front and down-up. */
  get extent() {
    const { dimsRAS, pixDimsRAS } = this.volume;
    return [1, 2, 3].map((axis) => dimsRAS[axis] * pixDimsRAS[axis]);
  }

  /** Voxels along right-left, back-front and down-up. */
  get voxels() {
    return [...this.volume.dimsRAS.slice(1, 4)];
  }

  async load(url, [low, high]) {
    this.overlay = null;
    this.turn += 1;
    await this.nv.loadVolumes([{ url, name: url.split("/").pop(), colormap: "gray", cal_min: low, cal_max: high }]);
    if (this.nv.volumes.length === 0) throw new Error(`${url} could not be shown.`);
    [this.url, this.suggested] = [url, [low, high]];
    this.canvas.dataset.window = `${low},${high}`;
    this.nv.scene.pan2Dxyzmm = [0, 0, 0, 1];
    this.nv.scene.crosshairPos = [0.5, 0.5, 0.5];
    this.canvas.dataset.loaded = url;
    this.nv.createOnLocationChange();
  }

  clear() {
    while (this.nv.volumes.length > 0) this.nv.removeVolume(this.nv.volumes.at(-1));
    [this.url, this.overlay] = [null, null];
    this.turn += 1;
    for (const told of ["loaded", "overlay"]) delete this.canvas.dataset[told];
  }

  setWindow([low, high]) {
    [this.volume.cal_min, this.volume.cal_max] = [low, high];
    this.nv.updateGLVolume();
    this.canvas.dataset.window = `${low},${high}`;
  }

  /** Lay another image over this one, or nothing where `kind` is null; `high` is where its colours end.
   *  Returns whether that was done: it is not where something else was asked for meanwhile. */
  async setOverlay(kind, url, high, opacity) {
    const turn = ++this.turn;
    const image = kind === null ? null : await this.#readOverlay(kind, url, high, opacity);
    if (turn !== this.turn) return false;
    while (this.nv.volumes.length > 1) this.nv.removeVolume(this.nv.volumes.at(-1));
    if (image !== null) this.nv.addVolume(image);
    this.overlay = kind;
    this.canvas.dataset.overlay = kind ?? "";
    this.nv.createOnLocationChange();
    return true;
  }

  async #readOverlay(kind, url, high, opacity) {
    const below = kind === "difference" ? "difference-below" : "";
    const colours = { colormap: kind, colormapNegative: below, cal_min: HIDDEN_BELOW * high, cal_max: high };
    const image = await niivue.NVImage.loadFromUrl({ url, name: url.split("/").pop(), opacity, ...colours });
    image.colormapType = FROM_ZERO;
    return image;
  }

  setOpacity(opacity) {
    if (this.nv.volumes.length > 1) this.nv.setOpacity(1, opacity);
  }

  /** Show "three" planes, one of "axial", "coronal" and "sagittal", or the rendered "volume". */
  show(planes) {
    this.viewport.style.height = "";
    if (planes === "three") this.#fit();
    this.nv.resizeListener();
    this.nv.setSliceType(SLICE_TYPES[planes]);
    const [plane] = this.nv.screenSlices;
    if (plane?.fovMM) this.nv.setCrosshairWidth((LINE * Math.abs(plane.fovMM[0])) / plane.leftTopWidthHeight[2]);
  }

  /** Arrange three planes so that they are largest in the room there is, and give back the height they do not need. */
  #fit() {
    const [x, y, z] = this.extent;
    const { clientWidth: width, clientHeight: height } = this.viewport;
    const arrangements = [
      [COLUMN, Math.max(x, y), y + 2 * z],
      [ROW, 2 * x + y, Math.max(y, z)],
      [GRID, x + y, y + z],
    ].map(([layout, across, down]) => ({ layout, down, scale: Math.min(width / across, height / down) }));
    const best = arrangements.reduce((one, other) => (other.scale > one.scale ? other : one));
    this.nv.setMultiplanarLayout(best.layout);
    const needed = Math.ceil(best.scale * best.down) + 2 * OPTIONS.multiplanarPadPixels;
    this.viewport.style.height = `${Math.min(height, needed)}px`;
  }

  /** Put the crosshair at a place given in fractions of the image, each in [0, 1]. */
  moveTo(place) {
    this.nv.scene.crosshairPos = [...place];
    this.nv.drawScene();
    this.nv.createOnLocationChange();
  }

  /** Take crosshair, zoom and turn from another view of the same place, without telling it back. */
  follow(other) {
    if (!this.volume) return;
    this.nv.scene.crosshairPos = this.nv.mm2frac(other.nv.frac2mm(other.nv.scene.crosshairPos));
    this.nv.scene.pan2Dxyzmm = [...other.nv.scene.pan2Dxyzmm];
    this.nv.scene.renderAzimuth = other.nv.scene.renderAzimuth;
    this.nv.scene.renderElevation = other.nv.scene.renderElevation;
    this.nv.drawScene();
  }

  /** Where the crosshair is, in mm towards the patient's right, front and head, by the affine of the file. */
  millimetres() {
    return [...this.nv.frac2mm(this.nv.scene.crosshairPos, 0, true)].slice(0, 3);
  }

  /** Values of the image and of what lies over it at the crosshair. */
  values() {
    const place = this.millimetres();
    return this.nv.volumes.map((volume) => volume.getValue(...volume.mm2vox(place), 0));
  }

  /** Rectangles of the planes on the page, each [left, top, width, height] in CSS pixels from the canvas' corner. */
  tiles() {
    const scale = this.canvas.width / this.canvas.clientWidth;
    return this.nv.screenSlices.map(({ leftTopWidthHeight }) => leftTopWidthHeight.map((value) => value / scale));
  }

  #onKey(event) {
    const step = STEPS[event.key];
    if (step === undefined || !this.volume) return event.key === "Tab" || event.stopPropagation();
    event.preventDefault();
    event.stopPropagation();
    this.nv.moveCrosshairInVox(...step);
  }

  #onDoubleClick(event) {
    event.stopPropagation();
    if (!this.volume) return;
    this.setWindow(this.suggested);
    this.#tellWindow();
  }

  #tellWindow() {
    if (!this.volume) return;
    const window = [this.volume.cal_min, this.volume.cal_max];
    if (this.canvas.dataset.window === window.join()) return;
    this.canvas.dataset.window = window.join();
    this.onWindow(window);
  }
}
