// A job while it runs: its stage, its true steps, the time that is left, and a way to stop it.

import * as api from "./api.js";
import { byId } from "./dom.js";

const EVERY = 600; // milliseconds between two looks at a job
const STAGES = {
  waiting: "Waiting for its turn",
  starting: "Starting",
  reading: "Reading the image",
  translating: "Translating",
  checking: "Checking the result",
  writing: "Writing the result",
  done: "Done",
};
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Seconds in words: "about 12 s", "about 3 min". */
export function duration(seconds) {
  if (seconds < 90) return `about ${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `about ${Math.round(seconds / 60)} min`;
  return `about ${(seconds / 3600).toFixed(1)} h`;
}

function show({ stage, step, steps, eta_seconds: left, seconds, position }) {
  const bar = byId("bar");
  if (steps > 0) [bar.max, bar.value] = [steps, step];
  else bar.removeAttribute("value");
  const queued = position ? `, ${position === 1 ? "next" : `number ${position}`} in the queue` : "";
  byId("progress-title").textContent = `${STAGES[stage] ?? stage}${queued}`;
  byId("steps").textContent = steps > 0 ? `Step ${step} of ${steps}` : "";
  const remaining = left === null ? "" : `${duration(left)} left`;
  byId("eta").textContent = [remaining, `${Math.round(seconds)} s so far`].filter(Boolean).join(" · ");
}

/** Announce a stage or a further quarter of the steps; each step would be too much to listen to. */
function announce({ stage, step, steps }, told) {
  const quarter = steps > 0 ? Math.floor((4 * step) / steps) : 0;
  const text = `${STAGES[stage] ?? stage}${quarter > 0 && stage === "translating" ? `, ${25 * quarter} percent` : ""}`;
  if (text !== told) byId("announce").textContent = text;
  return text;
}

/** Follow a job to its end, whatever the end is; the last state is returned. */
export async function follow(id) {
  byId("progress").hidden = false;
  byId("cancel").disabled = false;
  let isCancelled = false;
  byId("cancel").onclick = async () => {
    isCancelled = byId("cancel").disabled = true;
    byId("progress-title").textContent = "Cancelling";
    await api.removeJob(id).catch(() => {});
  };
  try {
    for (let told = ""; ; await pause(EVERY)) {
      const job = await api.job(id).catch((error) => {
        if (isCancelled && error.status === 404) return { job: id, state: "cancelled" }; // it had just ended by itself
        throw error;
      });
      if (["done", "failed", "cancelled"].includes(job.state)) return job;
      if (isCancelled) continue;
      show(job);
      told = announce(job, told);
    }
  } finally {
    byId("progress").hidden = true;
  }
}
