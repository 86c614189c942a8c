// Reads the types that openapi-typescript wrote, as a frontend does; it compiles only if they are what the API returns.
import type { components, operations, paths } from "./schema.js";

type Market = components["schemas"]["MarketBrief"];
type MarketPage = paths["/api/markets"]["get"]["responses"][200]["content"]["application/json"];
type Purchase = operations["buyShares"]["requestBody"]["content"]["application/json"];
type Problem = operations["showMarket"]["responses"][404]["content"]["application/problem+json"];

const row = (market: Market): string => `${market.question}: ${market.state}`;
export const rows = (page: MarketPage): string[] => page.markets.map(row);
export const positionOf = (page: MarketPage): string => page.as_of.position;
export const codeOf = (problem: Problem): string => problem.code;
export const purchase: Purchase = { market_id: "01".repeat(32), outcome: "YES", max_cost: "1000000000" };
// @ts-expect-error - a purchase has an outcome.
export const incomplete: Purchase = { market_id: "01".repeat(32), max_cost: "1000000000" };
// @ts-expect-error - there is no such operation.
export type Missing = operations["buyEverything"];
