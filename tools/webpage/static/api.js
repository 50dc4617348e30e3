// The server's HTTP interface: JSON in, JSON out; every failure is an Error whose text can be shown as it is.

const UNREACHABLE = "The server does not answer. What to do: see whether tools/web.py still runs, then try again.";
const LOCKED = "This page needs its token. What to do: open the address that tools/web.py printed.";

function failure(status, body) {
  const error = new Error(
    status === 401 ? LOCKED : (body && body.error) || `The server answered with status ${status}.`,
  );
  error.status = status;
  return error;
}

async function request(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...options });
  } catch {
    throw new Error(UNREACHABLE);
  }
  const body = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (!answer.ok) throw failure(answer.status, body);
  return body;
}

export const info = () => request("api/info");
export const bundles = () => request("api/bundles");
export const uploaded = (id) => request(`api/uploads/${id}`);
export const job = (id) => request(`api/jobs/${id}`);
export const removeJob = (id) => request(`api/jobs/${id}`, { method: "DELETE" });
export const removeUpload = (id) => request(`api/uploads/${id}`, { method: "DELETE" });
export const downloadOf = (id, format) => `api/jobs/${id}/download?format=${format}`;

export const startJob = (wish) =>
  request("api/jobs", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(wish),
  });

/** Send files as one upload; `onSent` gets the fraction that has left this page, in [0, 1].
 *  Where `signal` aborts it, null is returned and nothing stays: what arrived already is deleted when it answers. */
export function upload(files, onSent, signal) {
  const form = new FormData();
  for (const { file, name } of files) form.append("files", file, name);
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    sending.open("POST", "api/uploads");
    sending.responseType = "json";
    let arrived = false;
    sending.upload.onprogress = (event) => event.lengthComputable && onSent(event.loaded / event.total);
    sending.upload.onload = () => (arrived = true);
    sending.onload = () => {
      if (sending.status >= 300) reject(failure(sending.status, sending.response));
      else if (signal.aborted) removeUpload(sending.response.upload).catch(() => {});
      else resolve(sending.response);
    };
    sending.onerror = () => reject(new Error(UNREACHABLE));
    signal.addEventListener("abort", () => {
      resolve(null);
      if (!arrived) sending.abort();
    });
    sending.send(form);
  });
}
