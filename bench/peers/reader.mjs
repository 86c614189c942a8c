// A reading API as one writes it in Node: Express asks pg and answers with the rows.
//
//   node reader.mjs                       PORT and DATABASE_URL in the environment
//
// It reads the same marts with the same indexes, so that what is compared is the way from rows to an answer. It is
// given what helps it: prepared statements, a pool of eight, no ETag, no X-Powered-By, one statement for a page and one
// for its count. A market is every column, a list the columns of the earlier backend, a page of trades every column.
import express from "express";
import pg from "pg";

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 8 });

const MARKET = `select m.*, d.question, d.description, d.category, d.tags, d.ends_at
  from marts.markets m left join app.market_metadata d on d.market_id = m.id
  where m.is_known and m.market_no = (select s.market_no from raw.markets_seen s where s.market_id = $1)`;
const MARKETS = `select m.id, m.on_chain_address, d.question, d.description, d.category, m.state, m.creator_wallet,
    m.b_parameter, m.initial_liquidity, m.shares_yes, m.shares_no, m.created_at
  from marts.markets m left join app.market_metadata d on d.market_id = m.id
  where m.is_known order by m.created_at desc, m.market_no desc limit $1 offset $2`;
const COUNT = `select count(*) from marts.markets m where m.is_known`;
const TRADES = `select t.* from marts.trades t
  where t.market_no = (select s.market_no from raw.markets_seen s where s.market_id = $1)
  order by t.order_key desc, t.seq desc limit $2 offset $3`;

const ask = async (name, text, values) => (await pool.query({ name, text, values })).rows;

const app = express();
app.disable("x-powered-by");
app.disable("etag");
app.get("/health", (_, response) => response.json({ status: "healthy" }));
app.get("/api/markets", async (request, response) => {
  const limit = Number.parseInt(request.query.limit ?? "20", 10);
  const offset = Number.parseInt(request.query.offset ?? "0", 10);
  const [markets, [{ count }]] = await Promise.all([ask("markets", MARKETS, [limit, offset]), ask("count", COUNT, [])]);
  response.json({ markets, count: Number(count), offset, limit });
});
app.get("/api/markets/:id", async (request, response) => {
  const [market] = await ask("market", MARKET, [request.params.id]);
  if (!market) return response.status(404).json({ error: "Not Found", message: `Market not found: ${request.params.id}` });
  response.json(market);
});
app.get("/api/markets/:id/trades", async (request, response) => {
  const limit = Number.parseInt(request.query.limit ?? "50", 10);
  const trades = await ask("trades", TRADES, [request.params.id, limit, 0]);
  response.json({ trades, count: trades.length, market_id: request.params.id });
});
app.listen(Number(process.env.PORT), "127.0.0.1");
