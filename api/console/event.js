// One event: markets under one title, in the order that its wallet chose.

import { position, read } from "./api.js";
import { el, setText, show } from "./dom.js";
import { percent, sol, wallet } from "./format.js";
import { picture } from "./picture.js";
import { row, table } from "./table.js";
import { throttle } from "./throttle.js";
import { decision, STATES } from "./words.js";

export function eventView(root, slug, { store }) {
  const leaving = new AbortController();
  const { signal } = leaving;

  async function load() {
    let event;
    try {
      event = await read(`events/${encodeURIComponent(slug)}`, {}, { signal });
    } catch (error) {
      if (signal.aborted) return;
      show(root, el("article", { class: "page" }, el("header", { class: "page-head" }, el("h1", {}, error.status === 404 ? "There is no such event" : "The event cannot be read"), el("p", { class: "empty" }, error.message))));
      return;
    }
    if (event.slug !== slug) {
      location.replace(`#/event/${event.slug}`);
      return;
    }
    store.putMarkets(event.markets);
    draw(event);
  }

  function draw(event) {
    const rows = table(
      "Markets of this event",
      ["Market", "State", ["Volume", "middle-only"], "YES"],
      el("tbody", {}, event.markets.map(marketRow)),
    );
    show(
      root,
      el(
        "article",
        { class: "page", "aria-labelledby": "event", "data-seq": position(event) },
        el("a", { class: "back", href: "#/markets" }, "← Markets"),
        el(
          "header",
          { class: "page-head" },
          el("h1", { id: "event" }, event.title),
          event.description ? el("p", { class: "muted about" }, event.description) : null,
          el("p", { class: "muted small" }, "By ", wallet(event.user_wallet)),
        ),
        el("section", { class: "card table-card", "aria-label": "Markets" }, rows),
      ),
    );
    document.title = `${event.title} – ZMART`;
  }

  const refresh = throttle(load, 5_000);
  const listen = (type, handler) => store.addEventListener(type, ({ detail }) => handler(detail), { signal });
  listen("page", () => refresh());
  load();
  return {
    close() {
      refresh.stop();
      leaving.abort();
    },
  };
}

function marketRow(market) {
  const image = picture("small");
  image.put(market.image_url);
  return row(
    el("a", { class: "event-market", href: `#/market/${market.id}` }, image.node, el("span", {}, market.question)),
    el("span", { class: "state", "data-state": market.state }, STATES[market.state] ?? market.state),
    [sol(market.total_volume_exact), "middle-only"],
    setText(el("span", { class: "num" }), decision(market) ?? percent(market.current_price_yes)),
  );
}
