// Tables: their heads, and bodies that are read page by page.

import { ApiError } from "./api.js";
import { el, show } from "./dom.js";

/** Columns are names, or [name, class]: some are hidden on narrow screens (style.css). */
export function table(name, columns, body) {
  const heads = columns.map((head) => {
    const [text, shownFrom] = [head].flat();
    return el("th", { scope: "col", class: shownFrom }, text);
  });
  return el("table", { "aria-label": name }, el("thead", {}, el("tr", {}, heads)), body);
}

/** A row: cells are contents, or [content, class]; text and nodes alike. */
export function row(...cells) {
  return el(
    "tr",
    {},
    cells.map((cell) => {
      const [content, shownFrom] = Array.isArray(cell) ? cell : [cell];
      return el("td", { class: shownFrom }, content);
    }),
  );
}

/** Content that is read again as a whole; a failure is displayed in its place. */
export function readTable(readContent) {
  const node = el("div", {}, el("p", { class: "empty" }, "…"));
  const refresh = async () => {
    try {
      show(node, await readContent());
    } catch (error) {
      if (error.name !== "AbortError") showProblem(node, error, refresh);
    }
  };
  return { node, refresh };
}

/**
 * A table that is read page by page.
 *
 * `readPage(next)` resolves to { rows, next }, where `next` asks for the page behind it and null means the end.
 * `refresh` reads the first page again: what changed is replaced, pages that were added with "More" stay.
 */
export function pagedTable({ name, columns, empty, readPage, key, draw }) {
  const body = el("tbody");
  const message = el("p", { class: "empty" }, "…");
  const more = el("button", { class: "button", type: "button", hidden: true, onclick: () => readMore() }, "More");
  const whole = table(name, columns, body);
  const node = el("div", { class: "paged" }, whole, message, more);
  /** key -> { text, node }: a row whose text is the same stays the same element. */
  const rows = new Map();
  let next = null;
  let pages = 0;

  function put(data) {
    const id = key(data);
    const text = JSON.stringify(data);
    if (rows.get(id)?.text !== text) {
      const drawn = draw(data);
      rows.get(id)?.node.replaceWith(drawn);
      rows.set(id, { text, node: drawn });
    }
    return id;
  }

  function update() {
    whole.hidden = rows.size === 0;
    message.hidden = rows.size > 0;
    if (!rows.size) show(message, empty);
    more.hidden = next === null;
  }

  async function refresh() {
    try {
      const answer = await readPage(null);
      const newest = new Set(answer.rows.map(put));
      for (const id of rows.keys()) {
        if (newest.has(id) || pages > 1) continue;
        rows.get(id).node.remove();
        rows.delete(id);
      }
      // Only nodes in the wrong place move, so that a focus or a click under way is not lost.
      let place = body.firstElementChild;
      for (const id of newest) {
        const { node: wanted } = rows.get(id);
        if (wanted === place) place = place.nextElementSibling;
        else body.insertBefore(wanted, place);
      }
      if (pages <= 1) next = answer.next;
      pages ||= 1;
      update();
    } catch (error) {
      if (error.name === "AbortError" || rows.size) throw error;
      showProblem(message, error, () => refresh().catch(() => {}));
    }
  }

  async function readMore() {
    more.disabled = true;
    try {
      const answer = await readPage(next);
      for (const data of answer.rows) body.append(rows.get(put(data)).node);
      next = answer.next;
      pages += 1;
      update();
    } catch {
      more.hidden = false;
    } finally {
      more.disabled = false;
    }
  }

  whole.hidden = true;
  return { node, refresh };
}

/** A failed read: why, and a button unless a retry cannot help. */
export function showProblem(node, error, retry) {
  const isFinal = error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429;
  show(
    node,
    el(
      "div",
      { class: "empty", role: "alert" },
      el("p", {}, `This list cannot be loaded: ${error.message}`),
      isFinal ? null : el("button", { class: "button", type: "button", onclick: retry }, "Try again"),
    ),
  );
}
