// Creates elements. Children and texts become text, never markup, because users write questions and
// comments. No file of this page uses innerHTML.

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element: el("a", { class: "row", href: "#/" }, "text", child, null).
 * Attributes that are null or false are left out; `on...` are listeners.
 */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Set a node's text where it differs: untouched nodes keep the selection, and screen readers announce nothing. */
export function setText(node, text) {
  const words = String(text);
  if (node.textContent !== words) node.textContent = words;
  return node;
}

/** Replace a node's children. */
export function show(node, ...children) {
  node.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}
