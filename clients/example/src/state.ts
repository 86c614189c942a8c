/** The content of the page, and how each frame of the stream changes it. */

import type { Frame, MarketBrief, Portfolio, Trade } from "zmart-client";

/** A market in the list. */
export interface Row {
  id: string;
  question: string;
  state: string;
  /** Price of YES from 0 to 1; null before the first one. */
  priceYes: number | null;
  /** Lamports, as text. */
  volume: string;
}

/** A trade of the open market. */
export interface TradeRow {
  id: string;
  type: string;
  outcome: string;
  /** Billionths of a share, as text. */
  shares: string;
  /** Price of the traded outcome right after the trade. */
  price: number;
}

/** The shares of the wallet in one market, in billionths, as text. */
export interface Holding {
  market: string;
  yes: string;
  no: string;
}

/** An entry of the log that the page received. */
export interface Entry {
  seq: number;
  types: string[];
}

export interface PageState {
  rows: Row[];
  trades: TradeRow[];
  holdings: Holding[];
  entries: Entry[];
}

export type Change =
  | { kind: "read"; markets: MarketBrief[]; trades: Trade[]; portfolio: Portfolio | null }
  | { kind: "frame"; frame: Frame };

export const EMPTY: PageState = { rows: [], trades: [], holdings: [], entries: [] };

/** Rows that the page shows of trades and of entries. */
const MOST_TRADES = 20;
const MOST_ENTRIES = 1_000;

export function reduce(page: PageState, change: Change): PageState {
  if (change.kind === "frame") return applyFrame(page, change.frame);
  return {
    rows: change.markets.map((market) => ({
      id: market.id,
      question: market.question,
      state: market.state,
      priceYes: market.priceYes,
      volume: market.total_volume_exact,
    })),
    trades: change.trades.map((trade) => ({
      id: trade.id,
      type: trade.trade_type,
      outcome: trade.outcome,
      shares: trade.shares_exact,
      price: trade.price,
    })),
    holdings: (change.portfolio?.positions ?? []).map((held) => ({
      market: held.market_id,
      yes: held.shares_yes,
      no: held.shares_no,
    })),
    entries: page.entries,
  };
}

function applyFrame(page: PageState, frame: Frame): PageState {
  let { rows, trades, holdings } = page;
  for (const message of frame.messages) {
    switch (message.type) {
      case "market_update": {
        const { market_id: id, state, priceYes, total_volume_exact: volume } = message.data;
        rows = rows.map((row) => (row.id === id ? { ...row, state, priceYes, volume } : row));
        break;
      }
      case "trade": {
        const { id, trade_type: type, outcome, shares_exact: shares, price } = message.data;
        trades = [{ id, type, outcome, shares, price }, ...trades].slice(0, MOST_TRADES);
        break;
      }
      case "position_update": {
        const held = { market: message.data.market_id, yes: message.data.shares_yes_exact, no: message.data.shares_no_exact };
        holdings = [held, ...holdings.filter((one) => one.market !== held.market)];
        break;
      }
    }
  }
  const entry = { seq: frame.seq, types: frame.messages.map((message) => message.type) };
  return { rows, trades, holdings, entries: [...page.entries, entry].slice(-MOST_ENTRIES) };
}
