// The console: one page over the public API, and the example of how to use it.
//
//   1. Read the data over REST. Each response has the position in the log that it reflects.
//   2. Follow the stream from that position. Nothing between the two is missed, and nothing arrives twice.
//   3. When the stream sends `resync`, the position is of another log: discard everything and begin at 1.
//
// api.js reads, stream.js follows, store.js merges both; the other files display the store.

import { position, read } from "./api.js";
import { setText } from "./dom.js";
import { tick } from "./format.js";
import { eventView } from "./event.js";
import { healthStrip } from "./health.js";
import { marketList } from "./list.js";
import { leaderboardView } from "./leaderboard.js";
import { liveView } from "./live.js";
import { marketView } from "./market.js";
import { operatorView } from "./operator.js";
import { INTERVALS } from "./chart.js";
import { Session } from "./session.js";
import { Store } from "./store.js";
import { Stream } from "./stream.js";
import { walletView } from "./wallet.js";

const TOPICS = ["markets", "trades", "status"];
/** Trades of one read from which most sparklines start; a client has 100 requests a minute, and a page should not need them. */
const TRADES = 500;
/** Fewer prices than this make no line, unless the market has no more. */
const MIN_SPARKLINE_POINTS = 8;
const RETRY_MS = 3_000;

const $ = (id) => document.getElementById(id);
const store = new Store();
const stream = new Stream();
const session = new Session();

// --- announcements for screen readers: seldom, and one at a time ---------------------------------------

let announceTimer = 0;
function announce(text) {
  clearTimeout(announceTimer);
  announceTimer = setTimeout(() => setText($("announcer"), text), 300);
}

// --- the protocol's configuration, read once and again when an event changes it ------------------------

let protocolRequest = null;
const protocol = () => (protocolRequest ??= read("protocol").catch((error) => {
  protocolRequest = null;
  throw error;
}));
store.addEventListener("event", ({ detail }) => {
  if (!detail.market_id) protocolRequest = null;
});

// --- the address: #/, #/markets, #/market/<id or slug>, #/event/<slug>, #/wallet/<address>, #/leaderboard, #/operator ---------------

const list = marketList($("list"), { store, announce });
let view = null;
let opened = null;

function route() {
  const [, name, id] = /^#\/(\w*)\/?([0-9a-zA-Z-]*)/.exec(location.hash) ?? [null, "", ""];
  view?.close();
  opened = name === "market" && id ? id : null;
  const isKnown = id ? Object.hasOwn(NAMED, name) : Object.hasOwn(PAGES, name);
  const shown = isKnown ? name : "live";
  document.querySelector(".body").dataset.view = shown;
  for (const link of document.querySelectorAll(".views [data-view]")) {
    if (link.dataset.view === shown) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  list.open(opened);
  view = openView(shown, id);
  scrollTo(0, 0);
  if (stream.position) stream.follow(topics());
}

/** Pages of one thing, whose name is in the address. */
const NAMED = { market: marketView, wallet: walletView, event: eventView };
const PAGES = { markets: liveView, live: liveView, leaderboard: leaderboardView, operator: operatorView };

function openView(name, id) {
  const shared = { store, session, protocol, announce };
  return id && Object.hasOwn(NAMED, name) ? NAMED[name]($("main"), id, shared) : PAGES[name]($("main"), shared);
}

function topics() {
  if (view?.topics) return [...TOPICS, ...view.topics];
  // A market's account is also accepted as its name, until its page has found the id (market.js).
  return /^[0-9a-f]{64}$/.test(opened ?? "") ? [...TOPICS, `market:${opened}`, `votes:${opened}`] : TOPICS;
}

// --- reading, then following ----------------------------------------------------------------------------

async function begin() {
  try {
    const markets = await list.load();
    stream.follow(topics(), position(markets));
  } catch {
    setTimeout(begin, RETRY_MS);
    return;
  }
  await seedPrices().catch(() => {});
}

/** Prices of markets whose trades are on one page of all trades; the rest is read when it becomes visible. */
async function seedPrices() {
  const { trades } = await read("trades", { limit: TRADES });
  store.putTrades(trades);
  const prices = new Map();
  for (const trade of trades) prices.set(trade.market_id, [trade.price_after, ...(prices.get(trade.market_id) ?? [])]);
  for (const [id, found] of prices) {
    const all = store.markets.get(id)?.trades_count;
    if (found.length >= Math.min(all ?? Infinity, MIN_SPARKLINE_POINTS) && !store.prices.has(id)) store.putPrices(id, found.length === all ? [0.5, ...found] : found);
  }
}

stream.addEventListener("frame", ({ detail }) => store.apply(detail));
stream.addEventListener("resync", async () => {
  // Another log, or a position that it does not have: all stored data may be wrong. The stream itself continues.
  announce("The log has changed; all data is read again.");
  store.clear();
  list.forget();
  protocolRequest = null;
  await list.load().catch(() => {});
  route();
});
// A market that is not in the store: it is new, or beyond the first page.
store.addEventListener("event", async ({ detail: { name, market_id: id } }) => {
  if (name === "MarketCreated") store.putMarkets([await read(`markets/${id}`).catch(() => null)].filter(Boolean));
});

// --- keyboard, theme, clock ------------------------------------------------------------------------------

const SHORTCUTS = {
  "/": () => list.search(),
  "?": () => $("shortcuts").showModal(),
  t: () => announce(`${toggleTheme()} theme`),
  j: () => list.step(1),
  k: () => list.step(-1),
  l: () => (location.hash = "#/leaderboard"),
  o: () => (location.hash = "#/operator"),
  ArrowDown: () => isInList() && (list.step(1), true),
  ArrowUp: () => isInList() && (list.step(-1), true),
  ...Object.fromEntries(Object.keys(INTERVALS).map((width, index) => [String(index + 1), () => view?.choose?.(width)])),
};
const isInList = () => $("list").contains(document.activeElement);

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("shortcuts").open) return;
  const isTyping = event.target.matches("input:not([type=radio]), textarea, select");
  if (event.key === "Escape") return leave(isTyping);
  if (isTyping && !(event.key === "ArrowDown" && event.target.id === "search")) return;
  if (event.target.matches("[type=radio]") && event.key.startsWith("Arrow")) return;
  // False lets the browser handle the key, for example to scroll.
  if (event.key in SHORTCUTS && SHORTCUTS[event.key]() !== false) event.preventDefault();
});

function leave(isTyping) {
  if (!isTyping && document.querySelector(".body").dataset.view !== "live") location.hash = "#/markets";
  list.focus();
}

$("help").addEventListener("click", () => $("shortcuts").showModal());
$("theme").addEventListener("click", () => announce(`${toggleTheme()} theme`));
addEventListener("hashchange", route);
addEventListener("online", () => stream.reconnectNow());
document.addEventListener("visibilitychange", () => document.hidden || stream.reconnectNow());
setInterval(tick, 1_000);

healthStrip($("health"), $("connection"), { store, stream, announce });
route();
begin();
