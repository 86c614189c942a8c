// A stream as one writes it in Node: pg listens for notifications and reads new rows, ws sends them to all clients.
//
//   node fanout.mjs                       PORT and DATABASE_URL in the environment
//
// It has every advantage: each message is built by Postgres, turned into bytes once and sent to all sockets from
// the same buffer, compression is off, and it has neither queues nor positions. It sends the same members as our
// server, but from a simpler statement.
import { createServer } from "node:http";
import pg from "pg";
import { WebSocketServer } from "ws";

const WINDOW = {
  name: "window",
  text: `select e.seq, json_build_object(
      'epoch', i.epoch, 'seq', e.seq, 'messages', json_build_array(json_build_object(
        'type', 'trade', 'market_id', s.market_id, 'timestamp', to_timestamp(e.clock), 'data', json_build_object(
          'id', e.signature || ':' || e.ordinal, 'tradeId', e.signature || ':' || e.ordinal,
          'market_id', s.market_id, 'marketId', s.market_id,
          'trade_type', case e.name when 'SharesBought' then 'buy' else 'sell' end,
          'outcome', case when (e.payload ->> 'outcome')::boolean then 'YES' else 'NO' end,
          'outcome_bool', (e.payload ->> 'outcome')::boolean,
          'shares', (e.payload ->> 'shares')::numeric, 'shares_exact', e.payload ->> 'shares',
          'cost', coalesce(e.payload ->> 'cost', e.payload ->> 'proceeds')::numeric,
          'cost_exact', coalesce(e.payload ->> 'cost', e.payload ->> 'proceeds'),
          'user_wallet', w.wallet, 'trader', w.wallet,
          'price', round((e.payload ->> 'new_price_yes')::numeric / 1000000000, 9),
          'price_after', round((e.payload ->> 'new_price_yes')::numeric / 1000000000, 9),
          'new_price_yes', (e.payload ->> 'new_price_yes')::numeric,
          'tx_signature', e.signature, 'ordinal', e.ordinal, 'slot', e.order_key >> 24, 'seq', e.seq,
          'created_at', to_timestamp(e.clock), 'block_time', to_timestamp(e.clock)))))::text as message
    from raw.events e
    join raw.identity i on true
    left join raw.markets_seen s on s.market_no = e.market_no
    left join raw.wallets_seen w on w.wallet_no = e.wallet_no
    where e.seq > $1 and e.name in ('SharesBought', 'SharesSold')
    order by e.seq limit 200`,
};

const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
await client.connect();
let place = Number((await client.query("select coalesce(max(seq), 0) as seq from raw.feed")).rows[0].seq);
let isReading = false;
let isWanted = false;

const http = createServer((_, response) => response.end("ready"));
const sockets = new WebSocketServer({ server: http, perMessageDeflate: false, clientTracking: true });

async function read() {
  isWanted = true;
  if (isReading) return;
  isReading = true;
  while (isWanted) {
    isWanted = false;
    const { rows } = await client.query({ ...WINDOW, values: [place] });
    for (const row of rows) {
      place = Number(row.seq);
      const message = Buffer.from(row.message);
      for (const socket of sockets.clients) socket.send(message, { binary: false });
    }
    if (rows.length) isWanted = true;
  }
  isReading = false;
}

client.on("notification", read);
await client.query("listen zmart_feed");
http.listen(Number(process.env.PORT), "127.0.0.1");
process.on("SIGTERM", () => process.exit(0));
