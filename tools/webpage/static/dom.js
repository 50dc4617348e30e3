// Small helpers to build elements; texts are always set as text, never as HTML.

export const byId = (id) => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Fill the fieldset's segments with one radio button per choice; `onChoose` gets the chosen value. */
export function segments(fieldset, choices, chosen, onChoose) {
  const buttons = choices.map(({ value, label }) => {
    const input = element("input", { type: "radio", name: fieldset.id, value, checked: value === chosen });
    input.addEventListener("change", () => onChoose(value));
    return element("label", {}, input, element("span", { textContent: label }));
  });
  fieldset.querySelector(".segments").replaceChildren(...buttons);
  fieldset.hidden = choices.length < 2;
}

/** Replace a list's items by checks, each with its level told by a word, not only by colour. */
export function listChecks(list, checks) {
  const words = { ok: "Passed", warning: "Warning", error: "Error" };
  const items = checks.map(({ level, text }) =>
    element("li", { className: level }, element("span", { className: "level", textContent: words[level] }), ` ${text}`),
  );
  list.replaceChildren(...items);
  list.hidden = checks.length === 0;
}
