/** Shows a list of markets, one of them, and a wallet's portfolio; all three follow the log. */

import { useEffect, useReducer, useState } from "react";
import type { Zmart } from "zmart-client";
import { EMPTY, reduce } from "./state";

interface Props {
  zmart: Zmart;
  firstMarket: string | null;
  wallet: string | null;
}

const BILLION = 1_000_000_000n;

/** An exact amount in billionths, with three decimals. */
function formatUnits(exact: string): string {
  const thousandths = (BigInt(exact) * 1000n) / BILLION;
  return `${thousandths / 1000n}.${String(thousandths % 1000n).padStart(3, "0")}`;
}

const formatPercent = (price: number | null): string => (price === null ? "-" : `${(price * 100).toFixed(1)}%`);

export function App({ zmart, firstMarket, wallet }: Props) {
  const [page, dispatch] = useReducer(reduce, EMPTY);
  const [market, openMarket] = useState(firstMarket);
  /** Counts the times that everything must be read again, because the server has another log. */
  const [resyncs, setResyncs] = useState(0);

  useEffect(() => {
    const leaving = new AbortController();
    const { signal } = leaving;

    async function follow(): Promise<void> {
      const [list, trades, portfolio] = await Promise.all([
        zmart.listMarkets({ state: "ACTIVE", sort: "volume", limit: 50 }),
        market === null ? null : zmart.listMarketTrades(market, { limit: 20 }),
        wallet === null ? null : zmart.showPortfolio(wallet),
      ]);
      if (signal.aborted) return;
      dispatch({ kind: "read", markets: list.markets, trades: trades?.trades ?? [], portfolio });
      // Each topic goes on where its response was read, so nothing between the two is missed or counted twice.
      const since: Record<string, string> = { "markets.market_update": list.as_of.position };
      if (trades !== null) since[`market:${market}.trade`] = trades.as_of.position;
      if (portfolio !== null) since[`wallet:${wallet}.position_update`] = portfolio.as_of.position;
      const onResync = (): void => setResyncs((count) => count + 1);
      for await (const frame of zmart.follow(Object.keys(since), { since, signal, onResync })) {
        dispatch({ kind: "frame", frame });
      }
    }

    follow().catch((error: unknown) => {
      if (!signal.aborted) console.error(error);
    });
    return () => leaving.abort();
  }, [zmart, market, wallet, resyncs]);

  return (
    <main>
      <h1>Markets</h1>
      <table id="markets">
        <tbody>
          {page.rows.map((row) => (
            <tr key={row.id} data-market={row.id}>
              <td>
                <button onClick={() => openMarket(row.id)}>{row.question}</button>
              </td>
              <td>{row.state}</td>
              <td className="number price">{formatPercent(row.priceYes)}</td>
              <td className="number volume" title={`${row.volume} lamports`}>
                {formatUnits(row.volume)} SOL
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {market !== null && (
        <section>
          <h2>{page.rows.find((row) => row.id === market)?.question ?? "Trades"}</h2>
          <table id="trades">
            <tbody>
              {page.trades.map((trade) => (
                <tr key={trade.id} data-trade={trade.id}>
                  <td>
                    {trade.type} {trade.outcome}
                  </td>
                  <td className="number">{formatUnits(trade.shares)}</td>
                  <td className="number">{formatPercent(trade.price)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      {wallet !== null && (
        <section>
          <h2>Portfolio</h2>
          <table id="portfolio">
            <tbody>
              {page.holdings.map((held) => (
                <tr key={held.market} data-holding={held.market} data-yes={held.yes} data-no={held.no}>
                  <td>{page.rows.find((row) => row.id === held.market)?.question ?? held.market}</td>
                  <td className="number">{formatUnits(held.yes)} YES</td>
                  <td className="number">{formatUnits(held.no)} NO</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      <details>
        <summary>{page.entries.length} entries received</summary>
        <ol id="entries">
          {page.entries.map((entry) => (
            <li key={entry.seq} data-seq={entry.seq} data-types={entry.types.join(",")}>
              {entry.seq}: {entry.types.join(", ")}
            </li>
          ))}
        </ol>
      </details>
    </main>
  );
}
