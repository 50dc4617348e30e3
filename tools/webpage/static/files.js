// Where images come in: chosen files, a chosen folder, and files or folders dropped on the page.

import { byId } from "./dom.js";

/** All files below a dropped entry, each with its path relative to what was dropped. */
async function filesBelow(entry, path = "") {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ file, name: path + file.name }];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    // a reader hands over at most a hundred entries at a time
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) break;
    for (const child of some) found.push(...(await filesBelow(child, `${path}${entry.name}/`)));
  }
  return found;
}

async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry());
  if (entries.some(Boolean)) {
    const lists = await Promise.all(entries.filter(Boolean).map((entry) => filesBelow(entry)));
    return lists.flat();
  }
  return named(transfer.files);
}

const named = (files) => [...files].map((file) => ({ file, name: file.webkitRelativePath || file.name }));
const visible = (files) => files.filter(({ name }) => !name.split("/").some((part) => part.startsWith(".")));

/** Call `onFiles` with [{file, name}] each time the user hands over files in one of the ways. */
export function takeFiles(onFiles) {
  const zone = byId("drop");
  const hand = (files) => files.length > 0 && onFiles(visible(files));
  for (const [button, input] of [
    ["pick-files", "files"],
    ["pick-folder", "folder"],
  ]) {
    byId(button).addEventListener("click", () => byId(input).click());
    byId(input).addEventListener("change", () => {
      hand(named(byId(input).files));
      byId(input).value = "";
    });
  }
  // a file dropped beside the zone must not replace the page
  for (const type of ["dragover", "drop"]) window.addEventListener(type, (event) => event.preventDefault());
  zone.addEventListener("dragover", () => zone.classList.add("over"));
  for (const type of ["dragleave", "drop"]) zone.addEventListener(type, () => zone.classList.remove("over"));
  zone.addEventListener("drop", async (event) => hand(await dropped(event.dataTransfer)));
}
