// An upload while it is sent and checked: how far it is, and a way to stop it.

import * as api from "./api.js";
import { byId } from "./dom.js";

let current = null; // what can abort the upload that is on its way

export const isSending = () => current !== null;

/** Stop the upload that is on its way, if there is one; its `send` returns null. */
export function stop() {
  current?.abort();
  current = null;
  byId("sending").hidden = true;
}

function show(fraction) {
  const bar = byId("sending-bar");
  if (fraction < 1) bar.value = fraction;
  else bar.removeAttribute("value"); // nobody knows how long the checks take
  byId("checking").textContent = fraction < 1 ? `Uploading … ${Math.round(100 * fraction)} %` : "Checking the image …";
}

/** Send files in place of those that are on their way; the upload, or null if it was stopped. */
export async function send(files) {
  stop();
  const mine = new AbortController();
  current = mine;
  show(0);
  byId("sending").hidden = false;
  try {
    return await api.upload(files, (fraction) => mine === current && show(fraction), mine.signal);
  } finally {
    if (mine === current) stop();
  }
}
