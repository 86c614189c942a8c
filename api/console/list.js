// The list of markets: the API searches and sorts it, the store updates it.
//
// Rows keep their places while the list is displayed; prices and volumes in them change. The order is
// the API's at the last read, which is repeated now and then and after a search.

import { read } from "./api.js";
import { choice } from "./choice.js";
import { el, setText, show } from "./dom.js";
import { ago, count, percent, sol } from "./format.js";
import { throttle, queue } from "./throttle.js";
import { picture } from "./picture.js";
import { sparkline } from "./sparkline.js";
import { POINTS } from "./store.js";
import { decision, STATES } from "./words.js";

const PAGE = 30;
/** Rows whose history is not on the first page of trades, read when they become visible. */
const readQueued = queue(2);

const FILTERS = [
  ["", "All"],
  ["ACTIVE", "Active"],
  ["PROPOSED", "Proposed"],
  ["DISPUTED", "Disputed"],
  ["FINALIZED", "Final"],
];
const SORTS = [
  ["activity", "Most active"],
  ["last_trade", "Last trade"],
  ["volume", "Volume"],
  ["newest", "Newest"],
  ["contested", "Closest to 50%"],
  ["price_high", "Likeliest"],
  ["liquidity", "Deepest"],
];

export function marketList(root, { store, announce }) {
  const query = { q: "", state: "", sort: "activity" };
  const rows = new Map();
  let opened = null;
  let cursor = null;
  let reading = new AbortController();

  const search = el("input", {
    type: "search",
    id: "search",
    placeholder: "Search markets",
    "aria-label": "Search markets",
    autocomplete: "off",
    spellcheck: "false",
    maxlength: 200,
    oninput: () => searchThrottled(),
  });
  const sort = el(
    "select",
    { "aria-label": "Order", onchange: () => updateQuery({ sort: sort.value }) },
    SORTS.map(([value, text]) => el("option", { value }, text)),
  );
  const filters = choice("State", "state", FILTERS, "", (state) => updateQuery({ state }));
  const total = el("span", { class: "muted small" });
  const items = el("ul", { class: "rows", "aria-label": "Markets" });
  const more = el("button", { class: "button wide", type: "button", hidden: true, onclick: () => readMore() }, "More markets");
  const foot = el("div", { class: "list-foot" }, more);
  show(
    root,
    el(
      "div",
      { class: "list-head" },
      el("div", { class: "search" }, search, el("kbd", { "aria-hidden": "true" }, "/")),
      filters,
      el("div", { class: "list-line" }, total, sort),
    ),
    items,
    foot,
  );

  const searchThrottled = throttle(() => updateQuery({ q: search.value.trim() }), 250);

  // Sparklines of visible rows that are not known yet.
  const visibleRows = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      const id = target.dataset.market;
      if (!isIntersecting || store.prices.has(id) || !store.markets.get(id)?.trades_count) continue;
      visibleRows.unobserve(target);
      readQueued(async () => {
        const { price_history } = await read(`markets/${id}/price-history`, { limit: POINTS });
        store.putPrices(id, price_history.map((point) => point.yes / 100));
      });
    }
  });

  const dirty = new Set();
  const refreshRows = () => {
    for (const id of dirty) rows.get(id)?.update(store.markets.get(id), store.prices.get(id));
    dirty.clear();
  };
  const markDirty = (id) => {
    if (!rows.has(id)) return;
    if (!dirty.size) requestAnimationFrame(refreshRows);
    dirty.add(id);
  };
  store.addEventListener("market", ({ detail: id }) => markDirty(id));
  store.addEventListener("trade", ({ detail: trade }) => markDirty(trade.market_id));
  // A market was proposed: it belongs at the top when sorted by time, and the count changes.
  const readAgain = throttle(() => load().catch(() => {}), 20_000);
  store.addEventListener("event", ({ detail }) => detail.name === "MarketCreated" && !query.q && readAgain());

  function updateQuery(change) {
    Object.assign(query, change);
    items.scrollTo?.({ top: 0 });
    return load().then(
      (answer) => announce(`${count(answer.count)} markets`),
      () => {},
    );
  }

  /** Read the first page; resolves to the response. Displays an error, and throws it too. */
  async function load() {
    reading.abort();
    reading = new AbortController();
    const { signal } = reading;
    if (!rows.size) showSkeleton();
    root.setAttribute("aria-busy", "true");
    try {
      const answer = await read("markets", { ...query, limit: PAGE }, { signal });
      showPage(answer, { from: 0 });
      return answer;
    } catch (error) {
      if (!signal.aborted) showProblem(error);
      throw error;
    } finally {
      if (!signal.aborted) root.removeAttribute("aria-busy");
    }
  }

  async function readMore() {
    more.disabled = true;
    try {
      showPage(await read("markets", { ...query, limit: PAGE, cursor }), { from: rows.size });
    } catch {
      setText(more, "Loading failed. Try again");
    } finally {
      more.disabled = false;
    }
  }

  function showPage(answer, { from }) {
    store.putMarkets(answer.markets);
    const focused = document.activeElement?.closest?.("[data-market]")?.dataset.market;
    if (from === 0) keepRows(answer.markets);
    // A row moves only where its place changed: an element that is moved loses the click that is under way.
    let place = from === 0 ? items.firstElementChild : null;
    for (const { id } of answer.markets) {
      const known = rows.get(id);
      if (known && from > 0) continue;
      const row = known ?? marketRow(id);
      if (row.node === place) place = place.nextElementSibling;
      else items.insertBefore(row.node, place);
      row.update(store.markets.get(id), store.prices.get(id));
      if (known) continue;
      rows.set(id, row);
      row.mark(id === opened);
      visibleRows.observe(row.node);
    }
    if (focused) rows.get(focused)?.link.focus({ preventScroll: true });
    cursor = answer.next_cursor;
    more.hidden = !cursor;
    setText(more, "More markets");
    setText(total, `${count(answer.count)} ${answer.count === 1 ? "market" : "markets"}`);
  }

  /** Remove the rows of other markets, and everything that is no row. */
  function keepRows(markets) {
    const ids = new Set(markets.map(({ id }) => id));
    for (const node of [...items.children]) {
      const { market } = node.dataset;
      if (ids.has(market) && rows.get(market)?.node === node) continue;
      visibleRows.unobserve(node);
      rows.delete(market);
      node.remove();
    }
    if (!markets.length) showEmpty();
  }

  function showSkeleton() {
    const line = () => el("li", { class: "row skeleton", "aria-hidden": "true" }, el("i"), el("i"), el("i"));
    show(items, Array.from({ length: 9 }, line));
  }

  function showEmpty() {
    const text = query.q ? `No market matches “${query.q}”.` : "No market is in this state.";
    items.append(el("li", { class: "empty" }, text));
  }

  function showProblem(error) {
    rows.clear();
    show(
      items,
      el(
        "li",
        { class: "empty", role: "alert" },
        el("p", {}, "The markets cannot be loaded."),
        el("p", { class: "muted small" }, error.message),
        el("button", { class: "button", type: "button", onclick: () => load().catch(() => {}) }, "Try again"),
      ),
    );
  }

  /** Move the focus among the rows; from elsewhere, to the open market or the first. */
  function step(by) {
    const links = [...items.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    const current = links.findIndex((link) => link.getAttribute("aria-current"));
    const to = at < 0 ? Math.max(current, 0) : Math.min(Math.max(at + by, 0), links.length - 1);
    links[to]?.focus();
    links[to]?.scrollIntoView({ block: "nearest" });
  }

  function open(id) {
    rows.get(opened)?.mark(false);
    opened = id;
    rows.get(id)?.mark(true);
  }

  return {
    load,
    step,
    open,
    search: () => search.focus(),
    /** Back from the search or a market: the list gets the focus. */
    focus: () => step(0),
    forget: () => rows.clear(),
  };
}

function marketRow(id) {
  const question = el("span", { class: "row-question" });
  const image = picture("small");
  const state = el("span", { class: "state" });
  const facts = el("span", { class: "row-facts muted small" });
  const price = el("span", { class: "row-price num" });
  const word = el("span", { class: "unseen" });
  const change = el("span", { class: "row-change num small" });
  const spark = sparkline();
  const link = el(
    "a",
    { class: "row-link", href: `#/market/${id}` },
    el("span", { class: "market-title" }, image.node, question),
    el("span", { class: "row-numbers" }, change, word, price),
    el("span", { class: "row-line" }, state, facts),
    spark.node,
  );
  const node = el("li", { class: "row", "data-market": id }, link);
  let last = null;

  function update(market, prices) {
    setText(question, market.question);
    image.put(market.image_url);
    setText(state, STATES[market.state] ?? market.state);
    state.dataset.state = market.state;
    showFacts(facts, market);
    // A decided market has an outcome; its last price says what traders thought before.
    const decided = decision(market);
    setText(word, decided ? " outcome " : " YES ");
    setText(price, decided ?? percent(market.current_price_yes));
    price.dataset.outcome = decided ?? "";
    if (last !== null && market.current_price_yes !== last) flash(node, market.current_price_yes > last);
    last = market.current_price_yes;
    spark.draw(prices);
    showChange(change, decided ? null : prices);
  }

  return {
    node,
    link,
    update,
    mark: (isOpen) => (isOpen ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current")),
  };
}

function showFacts(node, market) {
  const key = `${market.trades_count} ${market.total_volume_exact} ${market.last_trade_at} ${market.event_slug}`;
  if (node.dataset.key === key) return;
  node.dataset.key = key;
  const event = market.event_slug ? el("span", { class: "row-event" }, ` · ${market.event_slug}`) : null;
  if (!market.trades_count) return show(node, "no trades yet", event);
  return show(node, sol(market.total_volume_exact), " · ", ago(market.last_trade_at), event);
}

function showChange(node, prices) {
  if (!prices || prices.length < 2) return setText(node, "");
  const by = (prices.at(-1) - prices[0]) * 100;
  const sign = Math.abs(by) < 0.05 ? "" : by > 0 ? "▲" : "▼";
  setText(node, sign ? `${sign} ${Math.abs(by).toFixed(1)}` : "");
  node.title = "Change in points since the start of the line on the left";
  node.dataset.sign = Math.sign(by);
}

/** A glow that ends by itself; users who prefer reduced motion get none (style.css). */
function flash(node, isUp) {
  node.classList.remove("is-up", "is-down");
  requestAnimationFrame(() => node.classList.add(isUp ? "is-up" : "is-down"));
}
