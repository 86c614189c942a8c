// The data of the page. REST responses and stream frames arrive in any order and may overlap; the two
// rules here make the result independent of their order:
//
//   state   a market. The row with the greater `last_seq` is the newer one; the other is dropped.
//   facts   a trade. It has an id, so a repeated one is stored once; a retracted one (`retracted`) is not added again.
//
// Views listen for "market" (detail: id), "trade" (detail: trade), "retracted" (detail: id),
// "event" (detail: a market_event message's data), "tally" (a vote_tally's), "position" (a position_update's),
// "ballot" (a vote's), "status" (a status's) and "page" (an event, or the page of a market, has changed).

/** Prices of a sparkline, trade by trade. */
export const POINTS = 48;
const MOST_TRADES = 500;

export class Store extends EventTarget {
  markets = new Map();
  /** The newest trades anywhere, the latest first. */
  trades = [];
  /** market id -> prices between 0 and 1, the latest last. */
  prices = new Map();

  #tradeIds = new Set();
  #retracted = new Set();

  /** Discard everything: this is another log. */
  clear() {
    this.markets.clear();
    this.trades.length = 0;
    this.prices.clear();
    this.#tradeIds.clear();
    this.#retracted.clear();
  }

  /** Rows of a list, or one whole market. */
  putMarkets(rows) {
    for (const row of rows) {
      const before = this.markets.get(row.id);
      // Equal is accepted: the whole row of a market has more columns than its row in a list.
      if (before && before.last_seq > row.last_seq) continue;
      this.markets.set(row.id, { ...before, ...row });
      this.#emit("market", row.id);
    }
  }

  /** Trades of a page, the latest first as the API lists them. */
  putTrades(trades) {
    for (const trade of trades.toReversed()) this.#putTrade(trade, { isNews: false });
  }

  /** Prices of a market's history; those that the stream delivered meanwhile are at their end already. */
  putPrices(id, prices) {
    this.prices.set(id, prices.slice(-POINTS));
    this.#emit("market", id);
  }

  /** One frame of the stream. */
  apply(frame) {
    for (const message of frame.messages) this.#applyMessage(message);
  }

  #applyMessage({ type, market_id: id, data }) {
    switch (type) {
      case "trade":
        return this.#putTrade(data, { isNews: true });
      case "market_update":
      case "price_update":
        return this.#merge(id, marketFields(data));
      case "market_state":
        return this.putMarkets([data.market]);
      case "vote_tally":
        return this.#emit("tally", data);
      case "position_update":
        return this.#emit("position", data);
      case "vote":
        return this.#emit("ballot", data);
      case "market_event":
        return this.#emit("event", data);
      case "retracted":
        return this.#retract(`${data.tx_signature}:${data.ordinal}`);
      case "market_metadata":
        return this.#changePage(id, { question: data.question, description: data.description, slug: data.slug });
      case "market_page":
        return this.#changePage(id, { image_url: data.image_url, event_slug: data.event_slug });
      case "event_group":
      case "moderation":
        return this.#emit("page", data);
      case "status":
        return this.#emit("status", data);
      // Newer servers may send types that this page does not know.
      default:
        return undefined;
    }
  }

  #merge(id, fields) {
    const before = this.markets.get(id);
    if (!before) return this.#emit("unknown", id);
    if (before.last_seq > fields.last_seq) return undefined;
    this.markets.set(id, { ...before, ...fields });
    return this.#emit("market", id);
  }

  /** What a market's page shows beside its numbers; `last_seq` belongs to the numbers alone. */
  #changePage(id, fields) {
    const before = this.markets.get(id);
    if (before) {
      this.markets.set(id, { ...before, ...fields });
      this.#emit("market", id);
    }
    return this.#emit("page", id);
  }

  #putTrade(trade, { isNews }) {
    if (this.#tradeIds.has(trade.id) || this.#retracted.has(trade.id)) return;
    this.#tradeIds.add(trade.id);
    this.trades.unshift(trade);
    this.trades.sort(latestFirst);
    for (const old of this.trades.splice(MOST_TRADES)) this.#tradeIds.delete(old.id);
    if (isNews) {
      const prices = this.prices.get(trade.market_id);
      if (prices) this.prices.set(trade.market_id, [...prices, trade.price_after].slice(-POINTS));
      this.#emit("trade", trade);
    }
  }

  #retract(id) {
    this.#retracted.add(id);
    this.trades = this.trades.filter((trade) => trade.id !== id);
    this.#emit("retracted", id);
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** The order of the chain; a transaction's own trades by ordinal. */
const latestFirst = (a, b) => b.slot - a.slot || b.seq - a.seq;

/** The fields of a market's row that a message of state replaces, under the row's names. */
function marketFields(data) {
  const fields = {
    state: data.state,
    outcome: data.outcome,
    current_price_yes: data.priceYes,
    current_price_no: data.priceNo,
    totalShares: data.totalShares,
    total_volume_exact: data.total_volume_exact,
    trades_count: data.trades_count,
    last_trade_at: data.last_trade_at,
    last_seq: data.last_seq,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
