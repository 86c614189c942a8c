// Tabs over one panel, as ARIA describes them: arrows move, and only the open tab is in the tab order.

import { el, show } from "./dom.js";

/**
 * Entries are [key, name, { node, refresh }]; the first is open. `refresh` reads a tab's content and may fail:
 * a page that is left aborts the read, and after another failure the next event reads again.
 */
export function tabList(label, entries) {
  const body = el("div", { class: "tab-body", role: "tabpanel", id: "tabpanel", tabindex: "0" });
  let open = null;
  const buttons = entries.map(([key, name]) =>
    el("button", { role: "tab", type: "button", id: `tab-${key}`, "aria-controls": "tabpanel", onclick: () => choose(key), onkeydown: (event) => move(event) }, name),
  );

  function choose(key) {
    open = entries.find(([name]) => name === key);
    buttons.forEach((button, index) => {
      const isOpen = entries[index] === open;
      button.setAttribute("aria-selected", isOpen);
      button.tabIndex = isOpen ? 0 : -1;
    });
    body.setAttribute("aria-labelledby", `tab-${key}`);
    show(body, open[2].node);
    open[2].refresh().catch(() => {});
  }

  function move(event) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const next = buttons[(buttons.indexOf(event.currentTarget) + by + buttons.length) % buttons.length];
    next.focus();
    next.click();
  }

  const node = el("div", {}, el("div", { class: "tabs", role: "tablist", "aria-label": label }, buttons), body);
  choose(entries[0][0]);
  return { node, refresh: () => open[2].refresh() };
}
