// The best wallets of a period. The API computes the ranks every few minutes, so this page reads them again
// now and then instead of following the stream.

import { read } from "./api.js";
import { choice } from "./choice.js";
import { el, setText, show } from "./dom.js";
import { amount, count, percent, profit, wallet } from "./format.js";
import { pagedTable, row } from "./table.js";
import { throttle } from "./throttle.js";

const PAGE = 50;
const EVERY_MS = 60_000;

const PERIODS = [
  ["24h", "24 hours"],
  ["7d", "7 days"],
  ["30d", "30 days"],
  ["all", "All"],
];
const RANKS = [
  ["profit", "Profit"],
  ["volume", "Volume"],
  ["trades", "Trades"],
  ["win_rate", "Won"],
];

export function leaderboardView(root, { announce }) {
  const leaving = new AbortController();
  const { signal } = leaving;
  const query = { period: "all", by: "profit" };
  const note = el("p", { class: "muted small" });
  const place = el("section", { class: "card table-card", "aria-label": "Wallets by rank" });
  let ranks = null;

  /** Another period or rank is another table: nothing of the old one is left while the new one is read. */
  function choose(change) {
    Object.assign(query, change);
    ranks = ranksTable({ ...query }, signal);
    show(place, el("div", { class: "tab-body", tabindex: "0", role: "region", "aria-label": "Ranks" }, ranks.node));
    setText(note, query.by === "win_rate" ? "Wallets with at least three decided positions. Computed every few minutes." : "Realized results. Computed every few minutes.");
    return ranks.refresh().catch(() => {});
  }

  const change = async (chosen) => {
    await choose(chosen);
    announce("The ranks are loaded.");
  };
  show(
    root,
    el(
      "article",
      { class: "page", "aria-labelledby": "leaderboard" },
      el("header", { class: "page-head" }, el("h1", { id: "leaderboard" }, "Leaderboard"), note),
      el(
        "div",
        { class: "choices" },
        choice("Period", "period", PERIODS, query.period, (period) => change({ period })),
        choice("Ranked by", "rank", RANKS, query.by, (by) => change({ by })),
      ),
      place,
    ),
  );
  document.title = "Leaderboard – ZMART";
  const refresh = throttle(() => ranks.refresh(), EVERY_MS / 2);
  const timer = setInterval(refresh, EVERY_MS);
  choose({});
  return {
    close() {
      clearInterval(timer);
      refresh.stop();
      leaving.abort();
    },
  };
}

function ranksTable(query, signal) {
  return pagedTable({
    name: "Wallets, the best first",
    columns: ["Rank", "Wallet", "Profit", ["SOL volume", "middle-only"], ["Trades", "middle-only"], ["Markets", "wide-only"], "Won"],
    empty: "No wallet has a rank in this period yet.",
    key: (one) => one.user_wallet,
    readPage: async (offset) => {
      const answer = await read("leaderboard", { ...query, limit: PAGE, offset: offset ?? 0 }, { signal });
      const isFull = answer.leaderboard.length === PAGE;
      return { rows: answer.leaderboard, next: isFull ? answer.offset + PAGE : null };
    },
    draw: (one) =>
      row(
        count(one.rank),
        wallet(one.user_wallet),
        profit(one.profit),
        [amount(one.volume), "middle-only"],
        [count(one.trades_count), "middle-only"],
        [count(one.markets_count), "wide-only"],
        el(
          "span",
          { class: "num", title: `${one.won_count} of ${one.decided_count} decided positions` },
          one.win_rate_bps === null ? "–" : percent(one.win_rate_bps / 10_000),
        ),
      ),
  });
}
