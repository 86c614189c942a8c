// One wallet: its result, its positions, trades, claims and ballots, and its statement by day.

import { read } from "./api.js";
import { el, show } from "./dom.js";
import { accountLink, transactionLink } from "./explorer.js";
import { fact } from "./fact.js";
import { ago, amount, copyable, count, percent, profit, shares, short, sol } from "./format.js";
import { pagedTable, row } from "./table.js";
import { tabList } from "./tabs.js";
import { throttle } from "./throttle.js";
import { decision, STATES, verb } from "./words.js";

const PAGE = 50;
/** Days of a statement: the most that one read returns. */
const MOST_DAYS = 1000;

export function walletView(root, address, { store, announce }) {
  const leaving = new AbortController();
  const { signal } = leaving;
  /** market id -> question, of the positions that were read. */
  const questions = new Map();
  const path = `users/${address}`;
  const ask = (name, parameters) => read(`${path}${name}`, parameters, { signal });
  const marketLink = (id) => {
    const question = questions.get(id) ?? store.markets.get(id)?.question ?? `Market ${short(id)}`;
    return el("a", { class: "cell-link", href: `#/market/${id}`, title: question }, question);
  };
  const head = walletHead(address);
  const tabs = tabList("Of this wallet", [
    ["positions", "Positions", positionsTable(ask, questions, marketLink)],
    ["trades", "Trades", tradesTable(ask, marketLink)],
    ["claims", "Claims", claimsTable(ask, questions, marketLink)],
    ["votes", "Votes", votesTable(ask, marketLink)],
    ["statement", "Statement", statementTable(ask)],
  ]);
  show(
    root,
    el(
      "article",
      { class: "page", "aria-labelledby": "wallet" },
      el("a", { class: "back", href: "#/leaderboard" }, "← Leaderboard"),
      head.node,
      el("section", { class: "card table-card", "aria-label": "Of this wallet" }, tabs.node),
    ),
  );
  document.title = `${short(address)} – ZMART`;

  const readHead = async () => {
    try {
      const [portfolio, stats, counts] = await Promise.all([ask("/portfolio", { limit: 1 }), ask("/stats"), ask("")]);
      head.update(portfolio, stats, counts.stats);
    } catch (error) {
      if (!signal.aborted) head.fail(error, readHead);
    }
  };
  const refresh = throttle(() => Promise.allSettled([readHead(), tabs.refresh()]), 5_000);
  const refreshPrices = throttle(() => Promise.allSettled([readHead(), tabs.refresh()]), 20_000);

  const listen = (type, handler) => store.addEventListener(type, ({ detail }) => handler(detail), { signal });
  listen("trade", (trade) => {
    if (trade.user_wallet !== address) return;
    announce(`This wallet ${verb(trade)} ${trade.outcome}.`);
    refresh();
  });
  for (const type of ["position", "ballot", "event"]) listen(type, (data) => data.user_wallet === address && refresh());
  listen("retracted", () => refresh());
  // The value of what the wallet holds follows the prices of its markets.
  listen("market", (id) => questions.has(id) && refreshPrices());

  readHead();
  return {
    topics: [`wallet:${address}`],
    close() {
      leaving.abort();
      for (const throttled of [refresh, refreshPrices]) throttled.stop();
    },
  };
}

// --- the head -----------------------------------------------------------------------------------------

function walletHead(address) {
  const figures = {
    profit: fact("Profit"),
    realized: fact("Realized"),
    unrealized: fact("Unrealized"),
    value: fact("Value now"),
    claimable: fact("Claimable"),
    claimed: fact("Claimed"),
    invested: fact("Invested"),
    proceeds: fact("Sold for"),
    volume: fact("Volume"),
    trades: fact("Trades"),
    rate: fact("Won"),
    open: fact("Open positions"),
    settled: fact("Settled positions"),
    votes: fact("Votes"),
  };
  const problem = el("div", { hidden: true });
  const facts = el("dl", { class: "facts even" }, Object.values(figures).map(({ node }) => node));
  const node = el(
    "header",
    { class: "page-head" },
    el("p", { class: "muted small" }, "Wallet"),
    el("h1", { id: "wallet", class: "mono address" }, address),
    el("p", { class: "muted small" }, copyable(address, "the address"), accountLink(address)),
    problem,
    facts,
  );

  function update({ totals, count: positions }, stats, counts) {
    problem.hidden = true;
    facts.hidden = false;
    const gains = { profit: totals.profit, realized: totals.realized_pnl, unrealized: totals.unrealized_pnl };
    for (const [name, exact] of Object.entries(gains)) figures[name].put([profit(exact), " SOL"], exact);
    const sums = {
      value: totals.current_value,
      claimable: totals.claimable,
      claimed: totals.claimed_amount,
      invested: totals.total_invested,
      proceeds: totals.total_proceeds,
      volume: stats.total_volume_exact,
    };
    for (const [name, exact] of Object.entries(sums)) figures[name].put(sol(exact), exact);
    figures.trades.put(count(stats.totalTrades), stats.totalTrades);
    figures.rate.put(stats.settledPositions ? percent(stats.winRate) : "–", `${stats.winRate} ${stats.settledPositions}`);
    figures.open.put(count(stats.activePositions), `${stats.activePositions} ${positions}`);
    figures.settled.put(count(stats.settledPositions), stats.settledPositions);
    figures.votes.put(count(counts.total_votes), counts.total_votes);
  }

  function fail(error, retry) {
    problem.hidden = false;
    const isWrong = error.status === 400 || error.status === 404 || error.status === 422;
    facts.hidden = isWrong;
    show(
      problem,
      el(
        "div",
        { class: "empty", role: "alert" },
        el("p", {}, isWrong ? "This is no address of a wallet." : "This wallet cannot be loaded."),
        el("p", { class: "muted small" }, error.message),
        isWrong ? null : el("button", { class: "button", type: "button", onclick: retry }, "Try again"),
      ),
    );
  }

  return { node, update, fail };
}

// --- the tabs -----------------------------------------------------------------------------------------

/** A page by offset; the API reports the number of all rows in `count`. */
const pageFrom = (offset, rows, all) => ({ rows, next: offset + rows.length < all && rows.length ? offset + rows.length : null });

function positionsTable(ask, questions, marketLink) {
  return pagedTable({
    name: "Positions, the latest traded first",
    columns: ["Market", ["State", "middle-only"], "YES", "NO", ["SOL paid", "wide-only"], ["SOL now", "middle-only"], "Profit"],
    empty: "This wallet has never traded.",
    key: (one) => one.market_id,
    readPage: async (offset) => {
      const answer = await ask("/portfolio", { limit: PAGE, offset: offset ?? 0 });
      for (const one of answer.positions) questions.set(one.market_id, one.question);
      return pageFrom(answer.offset, answer.positions, answer.count);
    },
    draw: (one) =>
      row(
        marketLink(one.market_id),
        [decision(one) ?? STATES[one.state] ?? one.state, "middle-only"],
        shares(one.shares_yes),
        shares(one.shares_no),
        [amount(String(BigInt(one.cost_yes) + BigInt(one.cost_no))), "wide-only"],
        [amount(one.current_value), "middle-only"],
        profit(one.profit),
      ),
  });
}

function tradesTable(ask, marketLink) {
  return pagedTable({
    name: "Trades, the latest first",
    columns: ["Trade", ["Market", "middle-only"], "Shares", "SOL", ["YES after", "wide-only"], "When"],
    empty: "This wallet has never traded.",
    key: (trade) => trade.id,
    readPage: async (cursor) => {
      const answer = await ask("/trades", { limit: PAGE, cursor });
      return { rows: answer.trades, next: answer.next_cursor };
    },
    draw: (trade) => {
      const side = el("span", { class: `side ${trade.outcome_bool ? "yes" : "no"}` }, trade.outcome);
      return row(
        [[`${verb(trade)} `, side], ""],
        [marketLink(trade.market_id), "middle-only"],
        shares(trade.shares_exact),
        amount(trade.cost_exact),
        [percent(trade.price_after), "num wide-only"],
        [[ago(trade.block_time), transactionLink(trade.tx_signature)], ""],
      );
    },
  });
}

/** Positions of final markets that pay, or have paid. */
function claimsTable(ask, questions, marketLink) {
  return pagedTable({
    name: "Claims",
    columns: ["Market", "Outcome", "SOL claimable", "SOL claimed"],
    empty: "Nothing to claim, and nothing was claimed. Winnings can be claimed once a market is final.",
    key: (one) => one.market_id,
    readPage: async (offset) => {
      const answer = await ask("/portfolio", { limit: MOST_DAYS, offset: offset ?? 0 });
      for (const one of answer.positions) questions.set(one.market_id, one.question);
      const { next } = pageFrom(answer.offset, answer.positions, answer.count);
      return { rows: answer.positions.filter((one) => one.has_claimed || one.claimable !== "0"), next };
    },
    draw: (one) =>
      row(
        marketLink(one.market_id),
        decision(one) ?? "–",
        one.is_pool_withdrawn && !one.has_claimed ? el("span", { class: "muted" }, "pool withdrawn") : amount(one.claimable),
        one.has_claimed ? amount(one.claimed_amount) : el("span", { class: "muted" }, "–"),
      ),
  });
}

const BALLOTS = { proposal: ["likes the proposal", "dislikes the proposal"], dispute: ["agrees with the dispute", "disagrees with the dispute"] };

function votesTable(ask, marketLink) {
  return pagedTable({
    name: "Ballots, the latest first",
    columns: ["Market", "Ballot", ["Cast", "middle-only"], "When"],
    empty: "This wallet has never voted.",
    key: (ballot) => ballot.id,
    readPage: async (offset) => {
      const answer = await ask("/votes", { limit: PAGE, offset: offset ?? 0 });
      // The limit is one for each kind, and so is the offset.
      const rows = [...answer.proposal_votes, ...answer.dispute_votes].sort((a, b) => Date.parse(b.voted_at) - Date.parse(a.voted_at));
      const isFull = Math.max(answer.proposal_votes.length, answer.dispute_votes.length) === PAGE;
      return { rows, next: isFull ? answer.offset + PAGE : null };
    },
    draw: (ballot) =>
      row(
        marketLink(ballot.market_id),
        BALLOTS[ballot.vote_type][ballot.vote ? 0 : 1],
        [ballot.source === "chain" ? "on chain" : "here", "middle-only"],
        [[ago(ballot.voted_at), ballot.tx_signature ? transactionLink(ballot.tx_signature) : null], ""],
      ),
  });
}

function statementTable(ask) {
  return pagedTable({
    name: "Statement by day in UTC, the latest first",
    columns: ["Day", ["Trades", "middle-only"], ["SOL paid", "wide-only"], ["SOL received", "wide-only"], ["SOL claimed", "middle-only"], "Realized", "Sum"],
    empty: "No days yet. The statement is computed every few minutes.",
    key: (day) => day.day,
    readPage: async () => ({ rows: (await ask("/pnl-history", { limit: MOST_DAYS })).days.toReversed(), next: null }),
    draw: (day) =>
      row(
        el("time", { datetime: day.day }, day.day),
        [count(day.trades_count), "middle-only"],
        [amount(day.invested), "wide-only"],
        [amount(day.proceeds), "wide-only"],
        [amount(day.claimed), "middle-only"],
        profit(day.realized_pnl),
        profit(day.cumulative_realized_pnl),
      ),
  });
}
