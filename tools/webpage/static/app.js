// The page: a request is made on the left, its progress and its result are shown on the right.

import * as api from "./api.js";
import { byId, listChecks } from "./dom.js";
import { takeFiles } from "./files.js";
import { follow } from "./progress.js";
import { nameOf, Request } from "./request.js";
import { Viewer } from "./viewer.js";

const state = { upload: null, job: null, busy: false, viewer: null, request: null };

function alertOf(text) {
  byId("alert").textContent = text ?? "";
  byId("alert").hidden = !text;
  if (text) byId("alert").scrollIntoView({ block: "nearest" });
}

/** Show in the viewer, or say why nothing can be shown; downloads need no viewer. */
async function view(title, show) {
  byId("viewer-title").textContent = title;
  byId("empty").hidden = true;
  byId("viewer").hidden = false;
  try {
    state.viewer ??= await Viewer.create();
    await show(state.viewer);
  } catch (error) {
    alertOf(
      `The images cannot be shown here: ${error.message} What to do: use a browser with WebGL 2, or download them.`,
    );
  }
}

function facts({ shape, spacing, modality, dicom }) {
  const size = shape?.length ? `${shape.join(" × ")}` : "";
  const voxels = spacing?.length ? `${spacing.map((value) => Number(value.toFixed(2))).join(" × ")} mm` : "";
  return [modality && nameOf(modality), size, voxels, dicom && "DICOM"].filter(Boolean).join(", ");
}

/** Contrasts that a direction starts from and an upload lacks, in words. */
function missingOf(source, contrasts) {
  const missing = source.split("+").filter((one) => !contrasts.includes(one));
  return missing.map(nameOf).join(", ");
}

/** The one thing that keeps the request from being sent, in words; nothing if it can be. */
function hindrance() {
  const { upload, request, busy } = state;
  if (busy) return "A translation is running.";
  if (!request.bundle?.ready) return "This model has no weights yet.";
  if (upload === null) return "Choose an image first.";
  if (!upload.usable) return "The image did not pass the checks above.";
  if (upload.kind !== request.kind) return "The image is of another kind than this page needs.";
  const missing = upload.kind === "volumes" ? missingOf(request.direction.source, upload.contrasts) : "";
  if (missing) return `Also needed: ${missing}; choose all files together.`;
  return request.readOptions().wrong ?? "";
}

function refresh() {
  if (state.request === null) return;
  const reason = hindrance();
  byId("translate").disabled = reason !== "";
  byId("hindrance").textContent = reason;
}

/** Keep page and job in the address, so that a reload or a link comes back to the same translation. */
function address() {
  const parts = [state.request.kind, state.job].filter(Boolean);
  history.replaceState(null, "", `#${parts.join("/")}`);
}

function openPage(kind) {
  state.request.open(kind);
  address();
}

async function takeUpload(files) {
  if (state.busy || state.request === null) return;
  alertOf(null);
  await forget();
  const checking = byId("checking");
  checking.hidden = false;
  checking.textContent = "Uploading …";
  try {
    const sent = (fraction) => {
      checking.textContent = fraction < 1 ? `Uploading … ${Math.round(100 * fraction)} %` : "Checking the image …";
    };
    state.upload = await api.upload(files, sent);
    describe(state.upload);
    await showInput(state.upload);
  } catch (error) {
    alertOf(error.message);
  } finally {
    checking.hidden = true;
    refresh();
  }
}

/** Tell what an upload is and what its checks found; the page for its kind is opened. */
function describe(upload) {
  byId("upload").hidden = false;
  byId("upload-name").textContent = upload.name;
  byId("upload-facts").textContent = facts(upload);
  listChecks(byId("checks"), upload.checks);
  if (upload.kind !== state.request.kind && state.request.kinds.includes(upload.kind)) openPage(upload.kind);
  state.request.prefer(upload.modality);
}

async function showInput(upload) {
  const title = ["Input", upload.modality && nameOf(upload.modality)].filter(Boolean).join(" ");
  if (upload.files?.source) await view("Input", (viewer) => viewer.showInput({ ...upload, title }));
}

/** Remove the upload and what came of it from the page and from the server. */
async function forget() {
  const { job, upload } = state;
  [state.job, state.upload] = [null, null];
  for (const id of ["upload", "viewer", "downloads"]) byId(id).hidden = true;
  byId("empty").hidden = false;
  listChecks(byId("warnings"), []);
  state.viewer?.clear();
  address();
  refresh();
  if (job) await api.removeJob(job).catch(() => {});
  if (upload) await api.removeUpload(upload.upload).catch(() => {});
}

async function translate() {
  const { request, upload } = state;
  const { source, target } = request.direction;
  const options = request.readOptions().values;
  alertOf(null);
  state.busy = true;
  refresh();
  try {
    if (state.job) await api.removeJob(state.job).catch(() => {});
    const wish = { upload: upload.upload, bundle: request.bundle.name, source, target, options };
    await watch((await api.startJob(wish)).job);
  } catch (error) {
    alertOf(error.message);
    state.busy = false;
    refresh();
  }
}

/** Follow a job to its end and show what came of it. */
async function watch(id) {
  [state.job, state.busy] = [id, true];
  byId("downloads").hidden = true;
  address();
  refresh();
  try {
    const job = await follow(id);
    if (job.state === "done") await showResult(job);
    else await showEnd(job);
  } finally {
    state.busy = false;
    refresh();
  }
}

/** Come back to the job in the address. */
async function resume(id) {
  try {
    const job = await api.job(id);
    state.upload = await api.uploaded(job.upload);
    describe(state.upload);
    state.request.restore(job);
    await watch(id);
  } catch (error) {
    [state.job, state.upload] = [null, null];
    address();
    alertOf(error.message);
  }
}

async function showEnd(job) {
  state.job = null;
  address();
  alertOf(job.state === "cancelled" ? "Cancelled; what had been made is removed." : job.error);
  await showInput(state.upload);
}

async function showResult(job) {
  const { source, target, files } = job;
  const titles = { source: `Input ${nameOf(source)}`, result: `Synthetic ${nameOf(target)}` };
  listChecks(
    byId("warnings"),
    job.warnings.map((text) => ({ level: "warning", text })),
  );
  byId("downloads").hidden = false;
  byId("download-nifti").href = api.downloadOf(job.job, "nifti");
  byId("download-dicom").href = api.downloadOf(job.job, "dicom");
  for (const name of ["provenance", "qc"]) {
    byId(name).hidden = !files[name];
    if (files[name]) byId(name).href = files[name];
  }
  await view(`${nameOf(source)} → synthetic ${nameOf(target)}`, (viewer) => viewer.showResult({ ...job, titles }));
}

async function start() {
  takeFiles(takeUpload);
  byId("request").addEventListener("submit", (event) => {
    event.preventDefault();
    if (hindrance() === "") translate();
  });
  byId("remove").addEventListener("click", () => !state.busy && forget());
  byId("discard").addEventListener("click", () => forget());
  try {
    const [info, bundles] = await Promise.all([api.info(), api.bundles()]);
    byId("about").textContent = [`version ${info.version}`, info.device].filter(Boolean).join(" · ");
    byId("privacy").textContent =
      `Files go to this server only, into a private folder, and are removed after ${info.retention_minutes} minutes.`;
    state.request = new Request(bundles, refresh);
    const [kind, job] = location.hash.slice(1).split("/");
    state.request.open(kind);
    window.addEventListener("hashchange", () => openPage(location.hash.slice(1).split("/")[0]));
    if (job) await resume(job);
  } catch (error) {
    byId("loading").hidden = true;
    alertOf(error.message);
  }
}

start();
