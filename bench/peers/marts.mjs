// The marts that an indexer in Node keeps beside its log: trades, markets, positions and candles of one minute.
//
// Everything is set-based: one statement for each table and transaction, with prepared text. Rows are summed up here first, so
// that a statement has one row for each key, and keys are sorted, so that transactions that meet wait and do not deadlock. What
// the newest or the oldest event decides (state, price, open and close of a candle) is compared by its place on chain, so the
// result does not depend on the order of deliveries.
import anchor from "@coral-xyz/anchor";

const { web3 } = anchor;

const STATES = {
  MarketCreated: "PROPOSED",
  ProposalApproved: "APPROVED",
  MarketActivated: "ACTIVE",
  MarketResolved: "RESOLVING",
  DisputeInitiated: "DISPUTED",
  MarketFinalized: "FINALIZED",
  MarketCancelled: "CANCELLED",
};
const FEE_BPS = 1_000n;

export const MART_TABLES = `
  create table if not exists peer.trades (
    signature text not null, ordinal int not null, market_id text not null, wallet text not null, slot bigint not null,
    traded_at timestamptz not null, is_buy boolean not null, is_yes boolean not null, shares numeric not null,
    cost numeric not null, fee numeric not null, price_yes bigint not null, primary key (signature, ordinal)
  );
  create index if not exists trades_market on peer.trades (market_id, slot);
  create index if not exists trades_wallet on peer.trades (wallet, slot);
  create table if not exists peer.markets (
    market_id text primary key, creator text, b_parameter numeric, state text, state_key bigint, shares_yes numeric not null,
    shares_no numeric not null, volume numeric not null, fees numeric not null, trades_count bigint not null,
    price_yes bigint, price_key bigint, final_outcome boolean, claims_count bigint not null, claims_paid numeric not null,
    created_at timestamptz, last_trade_at timestamptz
  );
  create index if not exists markets_state on peer.markets (state, created_at desc);
  create table if not exists peer.positions (
    market_id text not null, wallet text not null, shares_yes numeric not null, shares_no numeric not null,
    invested numeric not null, proceeds numeric not null, trades_count bigint not null, has_claimed boolean not null,
    claimed numeric not null, last_trade_at timestamptz, primary key (market_id, wallet)
  );
  create index if not exists positions_wallet on peer.positions (wallet);
  create table if not exists peer.candles (
    market_id text not null, minute timestamptz not null, open bigint not null, open_key bigint not null, high bigint not null,
    low bigint not null, close bigint not null, close_key bigint not null, volume numeric not null, trades_count bigint not null,
    primary key (market_id, minute)
  );
`;

const INSERT_TRADES = {
  name: "insert_trades",
  text: `insert into peer.trades
    select signature, ordinal, market_id, wallet, slot, to_timestamp(clock), is_buy, is_yes, shares, cost, fee, price_yes
    from unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::boolean[], $8::boolean[],
        $9::numeric[], $10::numeric[], $11::numeric[], $12::bigint[])
      as given (signature, ordinal, market_id, wallet, slot, clock, is_buy, is_yes, shares, cost, fee, price_yes)`,
};
const UPSERT_POSITIONS = {
  name: "upsert_positions",
  text: `insert into peer.positions as t
    select market_id, wallet, yes, no, invested, proceeds, trades, has_claimed, claimed, to_timestamp(clock)
    from unnest($1::text[], $2::text[], $3::numeric[], $4::numeric[], $5::numeric[], $6::numeric[], $7::bigint[], $8::boolean[],
        $9::numeric[], $10::bigint[])
      as given (market_id, wallet, yes, no, invested, proceeds, trades, has_claimed, claimed, clock)
    on conflict (market_id, wallet) do update set
      shares_yes = t.shares_yes + excluded.shares_yes, shares_no = t.shares_no + excluded.shares_no,
      invested = t.invested + excluded.invested, proceeds = t.proceeds + excluded.proceeds,
      trades_count = t.trades_count + excluded.trades_count, has_claimed = t.has_claimed or excluded.has_claimed,
      claimed = t.claimed + excluded.claimed, last_trade_at = greatest(t.last_trade_at, excluded.last_trade_at)`,
};
const UPSERT_CANDLES = {
  name: "upsert_candles",
  text: `insert into peer.candles as t
    select market_id, to_timestamp(minute), open, open_key, high, low, close, close_key, volume, trades
    from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
        $9::numeric[], $10::bigint[])
      as given (market_id, minute, open, open_key, high, low, close, close_key, volume, trades)
    on conflict (market_id, minute) do update set
      open = case when excluded.open_key < t.open_key then excluded.open else t.open end,
      open_key = least(t.open_key, excluded.open_key), high = greatest(t.high, excluded.high), low = least(t.low, excluded.low),
      close = case when excluded.close_key > t.close_key then excluded.close else t.close end,
      close_key = greatest(t.close_key, excluded.close_key), volume = t.volume + excluded.volume,
      trades_count = t.trades_count + excluded.trades_count`,
};
const UPSERT_MARKETS = {
  name: "upsert_markets",
  text: `insert into peer.markets as t
    select market_id, creator, b, state, state_key, yes, no, volume, fees, trades, price, price_key, outcome, claims, paid,
      to_timestamp(created), to_timestamp(traded)
    from unnest($1::text[], $2::text[], $3::numeric[], $4::text[], $5::bigint[], $6::numeric[], $7::numeric[], $8::numeric[],
        $9::numeric[], $10::bigint[], $11::bigint[], $12::bigint[], $13::boolean[], $14::bigint[], $15::numeric[],
        $16::bigint[], $17::bigint[])
      as given (market_id, creator, b, state, state_key, yes, no, volume, fees, trades, price, price_key, outcome, claims, paid,
        created, traded)
    on conflict (market_id) do update set
      creator = coalesce(t.creator, excluded.creator), b_parameter = coalesce(t.b_parameter, excluded.b_parameter),
      state = case when t.state_key is null or excluded.state_key > t.state_key then excluded.state else t.state end,
      state_key = greatest(t.state_key, excluded.state_key),
      shares_yes = t.shares_yes + excluded.shares_yes, shares_no = t.shares_no + excluded.shares_no,
      volume = t.volume + excluded.volume, fees = t.fees + excluded.fees, trades_count = t.trades_count + excluded.trades_count,
      price_yes = case when t.price_key is null or excluded.price_key > t.price_key then excluded.price_yes else t.price_yes end,
      price_key = greatest(t.price_key, excluded.price_key), final_outcome = coalesce(excluded.final_outcome, t.final_outcome),
      claims_count = t.claims_count + excluded.claims_count, claims_paid = t.claims_paid + excluded.claims_paid,
      created_at = coalesce(t.created_at, excluded.created_at), last_trade_at = greatest(t.last_trade_at, excluded.last_trade_at)`,
};

export class Marts {
  constructor(programId) {
    this.program = new web3.PublicKey(programId);
    // A claim names the account of its market; the other events its id.
    this.idOf = new Map();
  }

  // Merge events into the marts, in the transaction of the client. Each has its fields as strings and booleans.
  async merge(client, events) {
    const [trades, positions, candles, markets] = [[], new Map(), new Map(), new Map()];
    for (const event of events) this.add(event, trades, positions, candles, markets);
    if (trades.length) await write(client, INSERT_TRADES, trades, 12);
    // Rows that most transactions want come last, so that they are locked for the shortest time.
    if (positions.size) await write(client, UPSERT_POSITIONS, sorted(positions), 10);
    if (candles.size) await write(client, UPSERT_CANDLES, sorted(candles), 10);
    if (markets.size) await write(client, UPSERT_MARKETS, sorted(markets), 17);
  }

  add({ signature, slot, index, ordinal, name, wallet, fields }, trades, positions, candles, markets) {
    const id = this.marketOf(name, fields);
    if (id === null) return;
    const key = (BigInt(slot) << 24n) | (BigInt(index ?? 0) << 9n) | BigInt(ordinal);
    const clock = fields.timestamp ?? fields.cancelled_at;
    const market = entry(markets, id, () => [id, null, null, null, null, 0n, 0n, 0n, 0n, 0n, null, null, null, 0n, 0n, null, null]);
    if (name === "MarketCreated") [market[1], market[2], market[15]] = [wallet, fields.b_parameter, clock];
    if (name in STATES && (market[4] === null || key > market[4])) [market[3], market[4]] = [STATES[name], key];
    if (name === "MarketFinalized") market[12] = fields.final_outcome;
    if (name === "WinningsClaimed") {
      const amount = BigInt(fields.amount);
      market[13] += 1n;
      market[14] += amount;
      const position = positionOf(positions, id, wallet);
      position[7] = true;
      position[8] += amount;
    }
    if (name !== "SharesBought" && name !== "SharesSold") return;
    const isBuy = name === "SharesBought";
    const [shares, cost, price] = [BigInt(fields.shares), BigInt(isBuy ? fields.cost : fields.proceeds), BigInt(fields.new_price_yes)];
    const fee = isBuy ? cost - (cost * 10_000n) / (10_000n + FEE_BPS) : (cost * FEE_BPS) / (10_000n - FEE_BPS);
    const [moved, volume] = [isBuy ? shares : -shares, isBuy ? cost : cost + fee];
    trades.push([signature, ordinal, id, wallet, slot, clock, isBuy, fields.outcome, shares, cost, fee, price]);
    market[fields.outcome ? 5 : 6] += moved;
    market[7] += volume;
    market[8] += fee;
    market[9] += 1n;
    if (market[11] === null || key > market[11]) [market[10], market[11]] = [price, key];
    if (market[16] === null || Number(clock) > Number(market[16])) market[16] = clock;
    const position = positionOf(positions, id, wallet);
    position[fields.outcome ? 2 : 3] += moved;
    position[isBuy ? 4 : 5] += cost;
    position[6] += 1n;
    if (position[9] === null || Number(clock) > Number(position[9])) position[9] = clock;
    const minute = Number(clock) - (Number(clock) % 60);
    const candle = entry(candles, `${id} ${minute}`, () => [id, minute, price, key, price, price, price, key, 0n, 0n]);
    if (key < candle[3]) [candle[2], candle[3]] = [price, key];
    if (price > candle[4]) candle[4] = price;
    if (price < candle[5]) candle[5] = price;
    if (key > candle[7]) [candle[6], candle[7]] = [price, key];
    candle[8] += volume;
    candle[9] += 1n;
  }

  marketOf(name, fields) {
    if (name === "MarketCreated") {
      const seeds = [Buffer.from("market"), Buffer.from(fields.market_id, "hex")];
      this.idOf.set(web3.PublicKey.findProgramAddressSync(seeds, this.program)[0].toBase58(), fields.market_id);
    }
    return fields.market_id ?? (fields.market ? (this.idOf.get(fields.market) ?? fields.market) : null);
  }
}

function positionOf(positions, id, wallet) {
  return entry(positions, `${id} ${wallet}`, () => [id, wallet, 0n, 0n, 0n, 0n, 0n, false, 0n, null]);
}

function entry(map, key, create) {
  let found = map.get(key);
  if (found === undefined) map.set(key, (found = create()));
  return found;
}

const sorted = (map) => [...map.keys()].sort().map((key) => map.get(key));

function write(client, statement, tuples, count) {
  const columns = Array.from({ length: count }, (_, at) => tuples.map((tuple) => tuple[at]));
  return client.query({ ...statement, values: columns });
}
