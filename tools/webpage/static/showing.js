// What the viewer shows: one thing after another, however fast they are asked for, and the last one stays.

import { byId } from "./dom.js";
import { Viewer } from "./viewer.js";

let viewer = null;
let wanted = 0; // how often something else was asked for
let last = Promise.resolve(); // settles when what was asked for before is through

/** Do something once what was asked for before is through, whether that went well or not. */
function then(act) {
  last = last.catch(() => {}).then(act);
  return last;
}

/** Show `what`, "input" or "result": `draw` gets the viewer. When all of it is drawn, the element of the viewer says so
 *  in data-shown; `complain` gets the error if nothing can be shown. What is not wanted any more is passed over. */
export function show(what, { title, madeBy = "", draw, complain }) {
  const mine = ++wanted;
  delete byId("viewer").dataset.shown;
  byId("viewer-title").textContent = title;
  byId("made-by").textContent = madeBy;
  byId("made-by").hidden = !madeBy;
  byId("empty").hidden = true;
  byId("viewer").hidden = false;
  return then(async () => {
    if (mine !== wanted) return;
    try {
      viewer ??= await Viewer.create();
      await draw(viewer);
      if (mine === wanted) byId("viewer").dataset.shown = what;
    } catch (error) {
      if (mine === wanted) complain(error);
    }
  });
}

/** Show nothing. */
export function hide() {
  wanted += 1;
  delete byId("viewer").dataset.shown;
  byId("viewer").hidden = true;
  byId("empty").hidden = false;
  then(() => viewer?.clear());
}
