// One of a few: radio buttons that look like chips.

import { el } from "./dom.js";

/** Options are [value, text]; `onChoose` receives the value that a user chooses. */
export function choice(label, name, options, chosen, onChoose) {
  return el(
    "div",
    { class: "chips small", role: "radiogroup", "aria-label": label },
    options.map(([value, text]) =>
      el("label", { class: "chip" }, el("input", { type: "radio", name, value, checked: value === chosen, onchange: () => onChoose(value) }), el("span", {}, text)),
    ),
  );
}
