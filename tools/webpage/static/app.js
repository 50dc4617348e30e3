// The page: a request is made on the left, its progress and its result are shown on the right.

import * as api from "./api.js";
import { byId, listChecks } from "./dom.js";
import { takeFiles } from "./files.js";
import { follow } from "./progress.js";
import { nameOf, Request } from "./request.js";
import { isSending, send, stop } from "./sending.js";
import { hide, show } from "./showing.js";

const state = { upload: null, job: null, busy: false, taken: 0, request: null };

/** Say something above the page: "alert" what went wrong, "notice" what did not; nothing empties both. */
function say(kind, text) {
  for (const id of ["alert", "notice"]) {
    byId(id).textContent = id === kind ? text : "";
    byId(id).hidden = id !== kind;
  }
  if (kind) byId(kind).scrollIntoView({ block: "nearest" });
}

const alertOf = (text) => say("alert", text);

/** Say why nothing can be shown; downloads need no viewer. */
const complain = (error) =>
  alertOf(`The images cannot be shown here: ${error.message} What to do: use a browser with WebGL 2, or download them.`);

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
  if (isSending()) return "The image is being uploaded.";
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

/** Keep page and job, or else upload, in the address, so that a reload or a link comes back to the same. */
function address() {
  const { request, job, upload } = state;
  const held = job ? [job] : upload ? ["upload", upload.upload] : [];
  history.replaceState(null, "", `#${[request.kind, ...held].join("/")}`);
}

/** What the address names: a page, and a job or an upload. */
function addressed() {
  const [kind, first, second] = location.hash.slice(1).split("/");
  return first === "upload" ? { kind, upload: second } : { kind, job: first };
}

/** Another page was chosen, or an address was opened in this tab; a job or upload that is not shown starts afresh. */
function onAddress() {
  const { kind, job, upload } = addressed();
  const isOther = job ? job !== state.job : upload && upload !== state.upload?.upload;
  if (isOther) location.reload();
  else openPage(kind);
}

function openPage(kind) {
  state.request.open(kind);
  address();
}

/** Take files in place of what was there before, on its way or not. */
async function takeUpload(files) {
  if (state.request === null) return;
  if (state.busy) return say("notice", "A translation is running; cancel it before another image is taken.");
  const turn = ++state.taken;
  stop();
  say();
  await forget();
  if (turn !== state.taken) return; // other files came meanwhile
  try {
    const coming = send(files);
    refresh();
    const upload = await coming;
    if (upload === null) return;
    await takeIn(upload);
  } catch (error) {
    alertOf(error.message);
  } finally {
    refresh();
  }
}

/** Show an upload that the server has, and what can be asked of it. */
async function takeIn(upload) {
  state.upload = upload;
  describe(upload);
  address();
  refresh();
  await showInput(upload);
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
  if (upload === null) return hide();
  const title = ["Input", upload.modality && nameOf(upload.modality)].filter(Boolean).join(" ");
  const draw = (viewer) => viewer.showInput({ ...upload, title });
  if (upload.files?.source) await show("input", { title: "Input", draw, complain });
}

/** Take what belongs to a result alone off the page. */
function forgetResult() {
  byId("downloads").hidden = true;
  listChecks(byId("warnings"), []);
}

/** Remove the upload and what came of it from the page and from the server. */
async function forget() {
  const { job, upload } = state;
  [state.job, state.upload] = [null, null];
  byId("upload").hidden = true;
  forgetResult();
  hide();
  address();
  refresh();
  if (job) await api.removeJob(job).catch(() => {});
  if (upload) await api.removeUpload(upload.upload).catch(() => {});
}

async function translate() {
  const { request, upload } = state;
  const { source, target } = request.direction;
  const options = request.readOptions().values;
  say();
  state.busy = true;
  refresh();
  try {
    const before = state.job;
    state.job = null;
    forgetResult();
    address();
    if (before) await api.removeJob(before).catch(() => {});
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

/** Come back to the job or the upload in the address. */
async function resume({ job: id, upload }) {
  state.busy = true;
  try {
    if (id) await resumeJob(id);
    else if (upload) await takeIn(await api.uploaded(upload));
  } catch (error) {
    [state.job, state.upload] = [null, null];
    byId("upload").hidden = true;
    address();
    alertOf(error.message);
  } finally {
    state.busy = false;
    refresh();
  }
}

/** A result stays longer than the upload that it was made of: then it is shown without. */
async function resumeJob(id) {
  const job = await api.job(id);
  state.upload = await api.uploaded(job.upload).catch((error) => {
    if (error.status !== 404) throw error;
    return null;
  });
  if (state.upload) describe(state.upload);
  else say("notice", "The uploaded image is no longer kept; to translate it again, choose it again.");
  state.request.restore(job);
  await watch(id);
}

/** Say why there is no result, and delete what the server still holds of the job. */
async function showEnd(job) {
  state.job = null;
  address();
  await api.removeJob(job.job).catch(() => {});
  if (job.state === "cancelled") say("notice", "Cancelled; what had been made is removed.");
  else alertOf(job.error);
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
  const title = `${nameOf(source)} → synthetic ${nameOf(target)}`;
  const draw = (viewer) => viewer.showResult({ ...job, titles });
  await show("result", { title, madeBy: state.request.madeBy(job), draw, complain });
}

async function start() {
  takeFiles(takeUpload);
  byId("request").addEventListener("submit", (event) => {
    event.preventDefault();
    if (hindrance() === "") translate();
  });
  byId("remove").addEventListener("click", () => !state.busy && forget());
  byId("discard").addEventListener("click", () => forget());
  byId("stop-sending").addEventListener("click", () => {
    stop();
    say("notice", "Cancelled; nothing of the files is kept.");
  });
  try {
    const [info, bundles] = await Promise.all([api.info(), api.bundles()]);
    byId("about").textContent = [`version ${info.version}`, info.device].filter(Boolean).join(" · ");
    byId("privacy").textContent =
      "Files go to this server only, into a private folder, " +
      `and are removed after ${info.retention_minutes} minutes without use.`;
    state.request = new Request(bundles, refresh);
    const wanted = addressed();
    state.request.open(wanted.kind);
    window.addEventListener("hashchange", onAddress);
    await resume(wanted);
  } catch (error) {
    byId("loading").hidden = true;
    alertOf(error.message);
  }
}

start();
