// One market: its price, candles, trades as they happen, votes, deadline, holders and life.

import { read } from "./api.js";
import { candleChart, widthForAge, INTERVALS } from "./chart.js";
import { el, setText, show } from "./dom.js";
import { accountLink, transactionLink } from "./explorer.js";
import { fact } from "./fact.js";
import { ago, amount, copyable, count, deadline, percent, shares, sol, wallet } from "./format.js";
import { picture } from "./picture.js";
import { readTable, row, table } from "./table.js";
import { tabList } from "./tabs.js";
import { throttle } from "./throttle.js";
import { DEADLINES, decision, STATES, step, verb, WAITS_FOR } from "./words.js";

const MOST_TRADES = 60;

export function marketView(root, id, { store, protocol, announce }) {
  const leaving = new AbortController();
  const { signal } = leaving;
  const chart = candleChart(id);
  const head = marketHead();
  const votes = votesCard();
  const life = lifeCard();
  const frames = intervalChoice((width) => chart.choose(width));
  const tabs = tabList("Events", [
    ["trades", "Trades", tradesTable(id, store, signal)],
    ["holders", "Holders", readTable(() => readHolders(id))],
    ["activity", "Activity", readTable(() => readActivity(id))],
  ]);
  show(
    root,
    el(
      "article",
      { class: "market", "aria-labelledby": "question" },
      el("a", { class: "back", href: "#/markets" }, "← Markets"),
      head.node,
      el(
        "div",
        { class: "market-grid" },
        el(
          "section",
          { class: "card chart-card", "aria-label": "Candles" },
          el("div", { class: "card-head" }, el("h2", {}, "Price of YES"), frames.node),
          chart.node,
        ),
        el("div", { class: "side-column" }, votes.node, life.node),
        el("section", { class: "card table-card", "aria-label": "Events" }, tabs.node),
      ),
    ),
  );

  async function load() {
    try {
      const market = await read(isSlug(id) ? `market-slugs/${id}` : `markets/${id}`, {}, { signal });
      if (market.id !== id) {
        location.replace(`#/market/${market.id}`);
        return;
      }
      store.putMarkets([market]);
    } catch (error) {
      if (signal.aborted) return;
      showProblem(root, error);
      return;
    }
    const market = store.markets.get(id);
    frames.suggest(widthForAge(market.activated_at ?? market.created_at, Date.parse(market.finalized_at ?? "") || Date.now()));
    update();
    await Promise.allSettled([readVotes(), readLife(), readStats(), tabs.refresh()]);
  }

  const update = () => {
    const market = store.markets.get(id);
    head.update(market);
    life.state(market);
    document.title = `${decision(market) ?? percent(market.current_price_yes)} ${market.question} – ZMART`;
  };

  const readVotes = throttle(async () => {
    const kinds = store.markets.get(id)?.dispute_initiated_at ? ["proposal", "dispute"] : ["proposal"];
    const [limits, ...answers] = await Promise.all([
      protocol(),
      ...kinds.map((type) => read(`markets/${id}/votes`, { type, limit: 1 }, { signal })),
    ]);
    for (const { type, stats } of answers) votes.tally(type, stats, limits);
  }, 3_000);
  const readLife = throttle(async () => life.update(await read(`markets/${id}/lifecycle`, {}, { signal })), 3_000);
  const readStats = throttle(async () => head.stats((await read(`markets/${id}/stats`, {}, { signal })).stats), 30_000);
  const refreshTab = throttle(() => tabs.refresh(), 10_000);

  const listen = (type, handler) => store.addEventListener(type, ({ detail }) => handler(detail), { signal });
  listen("market", (changed) => changed === id && update());
  listen("trade", (trade) => {
    if (trade.market_id !== id) return;
    chart.move(trade);
    readStats();
    refreshTab();
  });
  listen("retracted", () => refreshTab());
  listen("event", (event) => {
    if (event.market_id !== id) return;
    readLife();
    readVotes();
    refreshTab();
    announce(`${step(event.name)}: ${store.markets.get(id)?.question ?? "this market"}`);
  });
  listen("tally", (tally) => {
    if (tally.market_id === id) readVotes();
  });

  load();
  return {
    choose: frames.choose,
    close() {
      leaving.abort();
      for (const throttled of [readVotes, readLife, readStats, refreshTab]) throttled.stop();
      chart.close();
    },
  };
}

/** An id has 64 hexadecimal digits, an address capital letters; a slug has neither. */
const isSlug = (name) => !/^[0-9a-f]{64}$|[A-Z]/.test(name);

// --- the head -----------------------------------------------------------------------------------------

function marketHead() {
  const state = el("span", { class: "state" });
  const category = el("span", { class: "muted small" });
  const question = el("h1", { id: "question", class: "skeleton-text" }, " ");
  const image = picture("large");
  const event = el("a", { class: "small event-link", hidden: true });
  const about = el("p", { class: "muted about" });
  const yes = el("strong", { class: "num" }, "–");
  const no = el("strong", { class: "num" }, "–");
  const bar = el("div", { class: "split", role: "img" }, el("i", { class: "split-yes" }), el("i", { class: "split-no" }));
  const prices = el(
    "div",
    { class: "prices" },
    el("div", { class: "price yes" }, el("span", { class: "side yes" }, "YES"), yes),
    bar,
    el("div", { class: "price no" }, no, el("span", { class: "side no" }, "NO")),
  );
  // A decided market has no price any more, but an outcome.
  const outcome = el("strong");
  const before = el("span", { class: "muted num" });
  const verdict = el("p", { class: "verdict", hidden: true }, el("span", { class: "muted" }, "Outcome"), outcome, before);
  const facts = el("dl", { class: "facts" });
  const figures = { volume: fact("Volume"), trades: fact("Trades"), traders: fact("Traders"), pool: fact("Pool"), by: fact("Creator"), id: fact("Market"), slug: fact("Address") };
  figures.slug.node.className = "fact-wide";
  show(facts, Object.values(figures).map(({ node }) => node));
  const node = el(
    "header",
    { class: "market-head" },
    el("div", { class: "market-line" }, state, category, event),
    el("div", { class: "market-title" }, image.node, question),
    about,
    prices,
    verdict,
    facts,
  );

  function update(market) {
    question.classList.remove("skeleton-text");
    setText(question, market.question);
    image.put(market.image_url);
    event.hidden = !market.event_slug;
    setText(event, `Event: ${market.event_slug ?? ""}`);
    event.href = `#/event/${market.event_slug ?? ""}`;
    setText(about, market.description ?? "");
    about.hidden = !market.description;
    setText(state, STATES[market.state] ?? market.state);
    state.dataset.state = market.state;
    setText(category, market.category);
    const price = market.current_price_yes;
    const decided = decision(market);
    prices.hidden = decided !== null;
    verdict.hidden = decided === null;
    setText(outcome, decided ?? "");
    verdict.dataset.outcome = decided ?? "";
    setText(before, market.trades_count ? `YES was last at ${percent(price)}` : "never traded");
    setText(yes, percent(price));
    setText(no, percent(market.current_price_no));
    bar.style.setProperty("--yes-share", `${((price ?? 0.5) * 100).toFixed(2)}%`);
    bar.setAttribute("aria-label", `YES ${percent(price)}, NO ${percent(market.current_price_no)}`);
    figures.volume.put(sol(market.total_volume_exact), market.total_volume_exact);
    figures.trades.put(count(market.trades_count), market.trades_count);
    figures.pool.put(sol(market.current_liquidity_exact), market.current_liquidity_exact);
    figures.by.put(wallet(market.creator_wallet), market.creator_wallet);
    figures.id.put([copyable(market.id, "the market's id"), " ", accountLink(market.on_chain_address)], market.on_chain_address);
    figures.slug.put(el("a", { class: "slug-link", href: `#/market/${market.slug}` }, market.slug), market.slug);
  }

  return { node, update, stats: (stats) => figures.traders.put(count(stats.unique_traders), stats.unique_traders) };
}

// --- candles' widths ----------------------------------------------------------------------------------

/** Widths of candles to choose from; a user's choice is used instead of the suggestion, also when it came first. */
function intervalChoice(onChoose) {
  let isChosen = false;
  const inputs = Object.keys(INTERVALS).map((width) => [
    width,
    el("input", { type: "radio", name: "interval", value: width, onchange: () => choose(width) }),
  ]);
  const node = el(
    "div",
    { class: "chips small", role: "radiogroup", "aria-label": "Candle width" },
    inputs.map(([width, input]) => el("label", { class: "chip" }, input, el("span", {}, width))),
  );
  const set = (wanted) => {
    for (const [width, input] of inputs) input.checked = width === wanted;
    onChoose(wanted);
  };
  const choose = (wanted) => {
    isChosen = true;
    set(wanted);
  };
  const suggest = (wanted) => isChosen || set(wanted);
  return { node, choose, suggest };
}

// --- votes and life -----------------------------------------------------------------------------------

const VOTES = {
  proposal: { title: "Proposal", yes: "like", no: "dislike", limit: "proposal_approval_threshold" },
  dispute: { title: "Dispute", yes: "agree", no: "disagree", limit: "dispute_success_threshold" },
};

function votesCard() {
  const kinds = {};
  const body = el("div", { class: "tallies" }, el("p", { class: "muted small" }, "…"));
  const node = el("section", { class: "card", "aria-label": "Votes" }, el("div", { class: "card-head" }, el("h2", {}, "Votes")), body);

  function tally(kind, stats, limits) {
    const words = VOTES[kind];
    const needed = limits[words.limit] / 10_000;
    const share = stats.total ? stats.likes / stats.total : 0;
    const meter = el(
      "div",
      {
        class: "tally-bar",
        role: "img",
        "aria-label": `${percent(share)} ${words.yes}; ${percent(needed, 0)} are needed`,
      },
      el("i", { class: "tally-fill" }),
      el("i", { class: "tally-mark", title: `${percent(needed, 0)} are needed` }),
    );
    meter.style.setProperty("--share", `${share * 100}%`);
    meter.style.setProperty("--needed", `${needed * 100}%`);
    const counts = stats.total
      ? `${count(stats.likes)} ${words.yes}, ${count(stats.dislikes)} ${words.no}`
      : "No votes yet";
    kinds[kind] = el(
      "div",
      { class: "tally" },
      el("div", { class: "tally-line" }, el("span", {}, words.title), el("span", { class: "num" }, stats.total ? `${stats.approval_rate}%` : "–")),
      meter,
      el("p", { class: "muted small" }, `${counts} · needs ${percent(needed, 0)}`),
    );
    show(body, Object.values(kinds));
  }

  return { node, tally };
}

function lifeCard() {
  const waits = el("p", { class: "waits" });
  const next = el("p", { class: "deadline", hidden: true });
  const steps = el("ol", { class: "steps" });
  const node = el("section", { class: "card", "aria-label": "Life" }, el("div", { class: "card-head" }, el("h2", {}, "Life")), waits, next, steps);

  function update({ timeline, next_deadline: due, outcome }) {
    next.hidden = !due;
    if (due && Date.parse(due.at) > Date.now()) show(next, `${DEADLINES[due.name]}: ends `, deadline(due.at));
    else if (due) show(next, "Over since ", deadline(due.at), "; the next transaction is pending.");
    show(
      steps,
      timeline.map((one) =>
        el(
          "li",
          { "data-event": one.event },
          el("span", {}, one.event === "MarketFinalized" && outcome ? `Finalized: ${outcome}` : step(one.event)),
          el("span", { class: "muted small" }, ago(one.block_time), one.user_wallet ? [" · ", wallet(one.user_wallet)] : null),
        ),
      ),
    );
  }

  return { node, update, state: (market) => setText(waits, WAITS_FOR[market.state] ?? "") };
}

// --- trades, holders, activity ------------------------------------------------------------------------

/** Trades arrive one by one from the stream; the page before them is read once. */
function tradesTable(id, store, signal) {
  const columns = ["Trade", "Shares", "SOL", ["YES after", "middle-only"], ["Wallet", "wide-only"], "When"];
  const body = el("tbody");
  const empty = el("p", { class: "empty", hidden: true }, "No trades yet.");
  const node = el("div", {}, table("Trades, the latest first", columns, body), empty);
  const rows = new Map();
  let isRead = false;

  const refresh = async () => {
    if (isRead) return;
    const { trades } = await read(`markets/${id}/trades`, { limit: MOST_TRADES }, { signal });
    isRead = true;
    for (const trade of trades) if (!rows.has(trade.id)) body.append(put(trade));
    empty.hidden = rows.size > 0;
  };
  const put = (trade) => {
    const row = tradeRow(trade);
    rows.set(trade.id, row);
    return row;
  };
  store.addEventListener(
    "trade",
    ({ detail: trade }) => {
      if (trade.market_id !== id || rows.has(trade.id)) return;
      const row = put(trade);
      row.classList.add("is-new");
      body.prepend(row);
      empty.hidden = true;
      while (body.children.length > MOST_TRADES) body.lastChild.remove();
    },
    { signal },
  );
  store.addEventListener("retracted", ({ detail }) => rows.get(detail)?.remove(), { signal });
  return { node, refresh };
}

function tradeRow(trade) {
  return el(
    "tr",
    { "data-trade": trade.id },
    el("td", {}, `${verb(trade)} `, el("span", { class: `side ${trade.outcome_bool ? "yes" : "no"}` }, trade.outcome)),
    el("td", {}, shares(trade.shares_exact)),
    el("td", {}, amount(trade.cost_exact)),
    el("td", { class: "num middle-only" }, percent(trade.price_after)),
    el("td", { class: "wide-only" }, wallet(trade.user_wallet)),
    el("td", {}, ago(trade.block_time), transactionLink(trade.tx_signature)),
  );
}

async function readHolders(id) {
  const { holders } = await read(`markets/${id}/holders`, { limit: 25 });
  if (!holders.length) return el("p", { class: "empty" }, "No wallet holds shares.");
  const part = (bps) => `${(bps / 100).toFixed(1)}%`;
  const rows = holders.map((one) =>
    row(
      wallet(one.user_wallet),
      shares(one.shares_yes),
      [part(one.share_of_yes_bps), "num middle-only"],
      shares(one.shares_no),
      [part(one.share_of_no_bps), "num middle-only"],
      [amount(one.total_invested), "wide-only"],
    ),
  );
  const columns = ["Wallet", "YES", ["of all YES", "middle-only"], "NO", ["of all NO", "middle-only"], ["SOL invested", "wide-only"]];
  return table("Holders, the largest first", columns, el("tbody", {}, rows));
}

async function readActivity(id) {
  const { activity } = await read(`markets/${id}/activity`, { limit: 40 });
  if (!activity.length) return el("p", { class: "empty" }, "No events yet.");
  return el(
    "ul",
    { class: "feed" },
    activity.map((one) =>
      el(
        "li",
        { "data-type": one.type },
        el("span", { class: "feed-text" }, one.user_wallet ? wallet(one.user_wallet) : "The protocol", ` ${one.action}`),
        one.amount ? sol(one.amount) : null,
        el("span", { class: "muted small" }, ago(one.block_time)),
      ),
    ),
  );
}

function showProblem(root, error) {
  const isMissing = error.status === 404;
  show(
    root,
    el(
      "div",
      { class: "empty tall", role: "alert" },
      el("a", { class: "back", href: "#/markets" }, "← Markets"),
      el("h1", {}, isMissing ? "There is no such market" : "This market cannot be loaded"),
      el("p", { class: "muted" }, error.message),
      isMissing ? null : el("button", { class: "button", type: "button", onclick: () => location.reload() }, "Try again"),
    ),
  );
}
