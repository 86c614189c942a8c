// The picture of a market. It says nothing that the question beside it does not say, so it has no text of its own.

import { el } from "./dom.js";

/** An image that is absent while there is none: `put(url)` takes the path of an image, or null. */
export function picture(name) {
  const node = el("img", { class: `picture ${name}`, alt: "", loading: "lazy", decoding: "async", hidden: true });
  // A picture that a moderator has hidden meanwhile.
  node.addEventListener("error", () => (node.hidden = true));
  let shown = null;
  const put = (url) => {
    if (url === shown) return;
    shown = url;
    node.hidden = !url;
    if (url) node.src = url;
    else node.removeAttribute("src");
  };
  return { node, put };
}
