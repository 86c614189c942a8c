// An indexer as one writes it in Node: Express receives the webhook, Anchor decodes, pg inserts in batches.
//
//   node indexer.mjs IDL PROGRAM          PORT, DATABASE_URL, AUTHORIZATION and its mode in the environment
//
// It has every advantage: group commit like ours (500 transactions or 5 ms), up to four batches in flight on
// connections of their own, one statement per table and batch with prepared text. It writes the log alone, no
// marts, and answers once its part is committed. With BODIES=1 it stores the delivered transactions as well.
// With MARTS=1 it also keeps the marts of marts.mjs, in the same transaction. With GROUPS=0 each delivery is a
// transaction of its own, with as many in flight as there are connections.
import express from "express";
import pg from "pg";
import { reader } from "./events.mjs";
import { MART_TABLES, Marts } from "./marts.mjs";

const [idlFile, programId] = process.argv.slice(2);
const read = reader(idlFile, programId);
const keepsBodies = process.env.BODIES === "1";
const marts = process.env.MARTS === "1" ? new Marts(programId) : null;
const groups = process.env.GROUPS !== "0";
const authorization = process.env.AUTHORIZATION;

const MOST = groups ? 500 : 1;
const WAIT_MS = 5;
const IN_FLIGHT = groups ? 4 : 8;
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: IN_FLIGHT });

const TABLES = `
  create schema if not exists peer;
  create table if not exists peer.transactions (
    signature text primary key, slot bigint not null, index_in_block int, block_time timestamptz, err jsonb, fee bigint,
    body jsonb
  );
  create table if not exists peer.events (
    id bigint generated always as identity primary key, signature text not null, ordinal int not null, name text not null,
    market_id text, wallet text, slot bigint not null, payload jsonb not null, unique (signature, ordinal)
  );
  create index if not exists events_market on peer.events (market_id, slot);
  create index if not exists events_wallet on peer.events (wallet, market_id, slot);
`;

const INSERT_TRANSACTIONS = {
  name: "insert_transactions",
  text: `insert into peer.transactions (signature, slot, index_in_block, block_time, err, fee, body)
    select signature, slot, index_in_block, to_timestamp(block_time), err::jsonb, fee, body::jsonb
    from unnest($1::text[], $2::bigint[], $3::int[], $4::bigint[], $5::text[], $6::bigint[], $7::text[])
      as given (signature, slot, index_in_block, block_time, err, fee, body)
    on conflict (signature) do nothing${marts ? " returning signature" : ""}`,
};
const INSERT_EVENTS = {
  name: "insert_events",
  text: `insert into peer.events (signature, ordinal, name, market_id, wallet, slot, payload)
    select signature, ordinal, name, market_id, wallet, slot, payload::jsonb
    from unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[])
      as given (signature, ordinal, name, market_id, wallet, slot, payload)
    on conflict (signature, ordinal) do nothing`,
};

// Values that JSON cannot represent: BN (decimal), PublicKey (base58), bytes (hex).
function plain(value) {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value) || value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  return value.toBase58 ? value.toBase58() : value.toString(10);
}

function rows(transaction) {
  const signature = transaction.transaction.signatures[0];
  const events = read(transaction).map(({ name, data }, ordinal) => {
    const fields = {};
    for (const key in data) fields[key] = plain(data[key]);
    const wallet = fields.user ?? fields.creator ?? fields.resolver ?? null;
    const { slot, indexWithinBlock: index } = transaction;
    const row = [signature, ordinal, name, fields.market_id ?? fields.market ?? null, wallet, slot, JSON.stringify(fields)];
    return { row, signature, ordinal, name, wallet, slot, index, fields };
  });
  const { err, fee } = transaction.meta;
  return {
    transaction: [
      signature,
      transaction.slot,
      transaction.indexWithinBlock ?? null,
      transaction.blockTime ?? null,
      err === null ? null : JSON.stringify(err),
      fee,
      keepsBodies ? JSON.stringify(transaction) : null,
    ],
    events,
  };
}

const columns = (tuples, count) => Array.from({ length: count }, (_, at) => tuples.map((tuple) => tuple[at]));

async function commit(delivered) {
  // The marts count a transaction once, however often it is delivered.
  const found = marts ? [...new Map(delivered.map((one) => [one.transaction[0], one])).values()] : delivered;
  const client = await pool.connect();
  try {
    await client.query("begin");
    const inserted = await client.query({ ...INSERT_TRANSACTIONS, values: columns(found.map((one) => one.transaction), 7) });
    const events = found.flatMap((one) => one.events);
    if (events.length) await client.query({ ...INSERT_EVENTS, values: columns(events.map((event) => event.row), 7) });
    if (marts) {
      const fresh = new Set(inserted.rows.map((row) => row.signature));
      await marts.merge(client, events.filter((event) => fresh.has(event.signature)));
    }
    await client.query("commit");
  } catch (error) {
    await client.query("rollback").catch(() => {});
    throw error;
  } finally {
    client.release();
  }
}

// Group commit: deliveries are collected, a batch is one database transaction.
let queue = [];
let weight = 0;
let inFlight = 0;
let timer = null;

function flush() {
  clearTimeout(timer);
  timer = null;
  if (!queue.length || inFlight >= IN_FLIGHT) return;
  const batch = [];
  let taken = 0;
  while (queue.length && (!taken || taken + queue[0].found.length <= MOST)) {
    const piece = queue.shift();
    taken += piece.found.length;
    batch.push(piece);
  }
  weight -= taken;
  inFlight += 1;
  commit(batch.flatMap((piece) => piece.found))
    .then(() => batch.forEach((piece) => piece.resolve()), (error) => batch.forEach((piece) => piece.reject(error)))
    .finally(() => {
      inFlight -= 1;
      if (queue.length) flush();
    });
}

function submit(found) {
  return new Promise((resolve, reject) => {
    queue.push({ found, resolve, reject });
    weight += found.length;
    if (weight >= MOST) flush();
    else timer ??= setTimeout(flush, WAIT_MS);
  });
}

await pool.query(marts ? TABLES + MART_TABLES : TABLES);
const app = express();
app.disable("x-powered-by");
app.disable("etag");
app.get("/health", (_, response) => response.json({ status: "healthy" }));
app.post("/helius/webhook", express.json({ limit: "32mb" }), async (request, response) => {
  if (request.headers.authorization !== authorization) return response.status(401).json({ error: "unauthorized" });
  try {
    if (request.body.length) await submit(request.body.map(rows));
    response.json({ success: true });
  } catch (error) {
    console.error(error);
    response.status(503).json({ error: "unavailable" });
  }
});
app.listen(Number(process.env.PORT), "127.0.0.1");
