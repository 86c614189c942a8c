// One figure with its name: a <div> of a <dl>.

import { el, show } from "./dom.js";

/** A figure: `put(content, key)` replaces it only when the key changed, so that a hover or a selection is not lost. */
export function fact(name) {
  const value = el("dd", { class: "num" }, "…");
  let shown;
  const put = (content, key) => {
    if (key === shown) return;
    shown = key;
    show(value, ...[content].flat());
  };
  return { node: el("div", {}, el("dt", {}, name), value), put };
}
