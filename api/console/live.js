// Events of all markets: trades from the stream as they arrive, everything else as the API describes it.

import { read } from "./api.js";
import { ago, percent, sol, units, wallet } from "./format.js";
import { el, setText, show } from "./dom.js";
import { throttle } from "./throttle.js";
import { sparkline } from "./sparkline.js";
import { STATES, verb } from "./words.js";

const MOST = 80;
const FEATURED = 3;
/** The API writes the amounts of its activities with two. */
const DECIMALS = 2;

export function liveView(root, { store }) {
  const leaving = new AbortController();
  const { signal } = leaving;
  const featured = el("div", { class: "featured" });
  const feed = el("ul", { class: "feed", "aria-label": "The latest first" });
  const empty = el("p", { class: "empty", hidden: true }, "No events yet. Trades appear here as soon as they are in the log.");
  const known = new Set();
  show(
    root,
    el(
      "div",
      { class: "live" },
      el("h1", {}, "Live events"),
      featured,
      el("section", { class: "card", "aria-label": "Activity" }, feed, empty),
    ),
  );

  /** Insert an entry at the place of its time; the feed is short, so a search from the top is enough. */
  function put(entry, isNew) {
    if (known.has(entry.id)) return;
    known.add(entry.id);
    const node = feedItem(entry);
    node.classList.toggle("is-new", isNew);
    const instant = Date.parse(entry.time);
    node.dataset.at = instant;
    const after = [...feed.children].find((other) => Number(other.dataset.at) <= instant);
    feed.insertBefore(node, after ?? null);
    while (feed.children.length > MOST) feed.lastChild.remove();
    empty.hidden = true;
  }

  const readAgain = throttle(async () => {
    const { activities } = await read("markets/activity", { limit: 40 }, { signal });
    for (const one of activities) put(one, false);
    empty.hidden = feed.children.length > 0;
  }, 10_000);

  const cards = new Map();
  function feature() {
    const best = [...store.markets.values()]
      .filter((market) => market.state === "ACTIVE" && market.trades_count)
      .sort((a, b) => b.trades_count - a.trades_count)
      .slice(0, FEATURED);
    const ids = best.map((market) => market.id);
    if (ids.join() !== [...cards.keys()].join()) {
      cards.clear();
      for (const id of ids) cards.set(id, featuredCard(id));
      show(featured, [...cards.values()].map(({ node }) => node));
    }
    for (const [id, card] of cards) card.update(store.markets.get(id), store.prices.get(id));
    featured.hidden = !ids.length;
  }

  const featureThrottled = throttle(async () => feature(), 500);
  store.addEventListener("market", () => featureThrottled(), { signal });
  store.addEventListener(
    "trade",
    ({ detail: trade }) => {
      put(toActivity(trade, store.markets.get(trade.market_id)), true);
      featureThrottled();
    },
    { signal },
  );
  store.addEventListener("event", () => readAgain(), { signal });
  document.title = "ZMART console";
  feature();
  readAgain();
  return {
    close() {
      leaving.abort();
      readAgain.stop();
      featureThrottled.stop();
    },
  };
}

/** A trade of the stream in the format of the API's activity. */
function toActivity(trade, market) {
  return {
    id: trade.id,
    type: "trade",
    wallet: trade.user_wallet,
    action: `${verb(trade)} ${units(trade.shares_exact)} ${trade.outcome} shares`,
    market: market?.question ?? `Market ${trade.market_id.slice(0, 8)}…`,
    marketId: trade.market_id,
    time: trade.block_time,
    exact: trade.cost_exact,
    side: trade.outcome,
  };
}

function feedItem(entry) {
  const side = entry.side ?? /\b(YES|NO)\b/.exec(entry.action)?.[1] ?? null;
  return el(
    "li",
    { "data-type": entry.type, "data-side": entry.type === "trade" ? side : null },
    el(
      "span",
      { class: "feed-text" },
      entry.wallet ? wallet(entry.wallet) : el("span", { class: "mono" }, entry.user.replace("...", "…")),
      ` ${entry.action}`,
      el("a", { class: "feed-market", href: `#/market/${entry.marketId}` }, entry.market),
    ),
    entry.exact ? sol(entry.exact, DECIMALS) : el("span", { class: "num" }, entry.amount ?? ""),
    el("span", { class: "muted small" }, ago(entry.time)),
  );
}

function featuredCard(id) {
  const question = el("span", { class: "featured-question" });
  const price = el("strong", { class: "num" });
  const spark = sparkline();
  const state = el("span", { class: "muted small" });
  const node = el("a", { class: "card featured-card", href: `#/market/${id}` }, question, el("span", { class: "featured-line" }, price, spark.node), state);
  return {
    node,
    update(market, prices) {
      setText(question, market.question);
      setText(price, percent(market.current_price_yes));
      setText(state, `YES · ${STATES[market.state]} · ${market.trades_count} trades`);
      spark.draw(prices);
    },
  };
}
