// A reading API as one writes it in Node: Express queries pg, and builds the response from the rows.
//
//   node reader.mjs                       PORT and DATABASE_URL in the environment
//
// It returns the same names from the same rows as ours (bench/reads.py compares them before it measures), and reads the
// same marts with the same indexes, so that only the way from rows to a response is compared. It has every advantage:
// prepared statements, a pool of eight, no ETag, no X-Powered-By, statements that do not wait for one another, and
// each its own snapshot, where ours promises one for the whole response.
import express from "express";
import pg from "pg";

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 8 });

const CREATOR_METADATA = `left join app.market_metadata d on d.market_id = m.id and d.user_wallet = m.creator_wallet
  and (m.ipfs_question_hash is null or d.question_cid is null or m.ipfs_question_hash = d.question_cid
    or left(m.ipfs_question_hash, 2) <> 'Qm')
  left join app.market_pages g on g.market_no = m.market_no`;
const NUMBER = `(select s.market_no from raw.markets_seen s where s.market_id = $1 or s.account = $1)`;
const BRIEF = `m.id, m.on_chain_address, m.market_no, d.question, d.description, d.category, d.tags, d.ends_at, m.state,
  m.state_code, m.outcome, m.creator_wallet, m.b_parameter, m.initial_liquidity, m.current_liquidity, m.shares_yes,
  m.shares_no, m.total_volume, m.trades_count, m.price_yes, m.proposed_outcome,
  m.final_outcome, m.was_disputed, m.is_cancelled, m.created_at, m.approved_at, m.activated_at,
  m.resolution_proposed_at, m.dispute_initiated_at, m.resolved_at, m.finalized_at, m.cancelled_at, m.last_trade_at,
  m.last_seq, d.slug, (select f.at from raw.feed f where f.seq = m.last_seq) as updated_at,
  (select encode(i.digest, 'hex') from app.images i where i.digest = g.image_digest and i.hidden_at is null) as image,
  (select v.slug from app.event_groups v where v.event_no = g.event_no and v.hidden_at is null) as event_slug`;
const FULL = `m.resolver_wallet, m.dispute_initiator, m.ipfs_question_hash, m.ipfs_evidence_hash, m.proposal_likes,
  m.proposal_dislikes, m.proposal_total_votes, m.dispute_agree, m.dispute_disagree, m.dispute_total_votes,
  m.accumulated_resolver_fees, m.accumulated_lp_fees, m.protocol_fees_paid, m.market_lamports, m.liquidity_withdrawn_at`;
const MARKET = `select ${BRIEF}, ${FULL} from marts.markets m ${CREATOR_METADATA} where m.is_known and m.market_no = ${NUMBER}`;
const MARKETS = `select ${BRIEF} from marts.markets m ${CREATOR_METADATA}
  where m.is_known order by m.created_at desc, m.market_no desc limit $1 offset $2`;
const COUNT = `select count(*) from marts.markets m where m.is_known`;
const TRADES = `select t.tx_signature, t.ordinal, t.market_id, t.user_wallet, t.trade_type, t.outcome, t.shares, t.cost,
    t.gross, t.protocol_fee, t.resolver_fee, t.lp_fee, t.fees_exact, t.price_yes, t.slot, t.seq,
    t.block_time, t.order_key, (select s.account from raw.markets_seen s where s.market_no = t.market_no) as account
  from marts.trades t where t.market_no = ${NUMBER}
  order by t.order_key desc, t.seq desc limit $2 offset $3`;
const NAMED = `select s.market_id from marts.markets m join raw.markets_seen s on s.market_no = m.market_no
  where m.is_known and m.market_no = ${NUMBER}`;
const AS_OF = `select a.epoch, a.seq, a.slot, a.commitment from ops.as_of($1) a`;

const ask = async (name, text, values) => (await pool.query({ name, text, values })).rows;
const position = async (models) => {
  const [{ epoch, seq, slot, commitment }] = await ask("as_of", AS_OF, [models]);
  const position = `${epoch}:${seq}`;
  return { epoch, seq: Number(seq), position, slot: slot === null ? null : Number(slot), commitment };
};
const number = (text) => (text === null ? null : Number(text));
const price = (billionths) => (billionths === null ? null : Number(billionths) / 1e9);
const opposite = (billionths) => (billionths === null ? null : 1 - Number(billionths) / 1e9);

const brief = (m) => ({
  id: m.id,
  on_chain_address: m.on_chain_address,
  slug: m.slug ?? `market-${m.id}`,
  question: m.question ?? `Market ${m.id.slice(0, 8)}…`,
  description: m.description,
  category: m.category ?? "other",
  tags: m.tags ?? [],
  end_date: m.ends_at,
  image_url: m.image === null ? null : `/api/images/${m.image}`,
  event_slug: m.event_slug,
  state: m.state,
  status: m.state,
  state_code: m.state_code,
  outcome: m.outcome,
  creator_wallet: m.creator_wallet,
  creator: m.creator_wallet,
  b_parameter: number(m.b_parameter),
  b_parameter_exact: m.b_parameter,
  liquidityParameter: number(m.b_parameter),
  initial_liquidity: number(m.initial_liquidity),
  initial_liquidity_exact: m.initial_liquidity,
  current_liquidity: number(m.current_liquidity),
  current_liquidity_exact: m.current_liquidity,
  shares_yes: number(m.shares_yes),
  shares_yes_exact: m.shares_yes,
  shares_no: number(m.shares_no),
  shares_no_exact: m.shares_no,
  totalShares: number(m.shares_yes) + number(m.shares_no),
  total_volume: number(m.total_volume),
  total_volume_exact: m.total_volume,
  trades_count: number(m.trades_count),
  price_yes: number(m.price_yes),
  current_price_yes: price(m.price_yes),
  current_price_no: opposite(m.price_yes),
  priceYes: price(m.price_yes),
  priceNo: opposite(m.price_yes),
  proposed_outcome: m.proposed_outcome,
  final_outcome: m.final_outcome,
  was_disputed: m.was_disputed,
  is_cancelled: m.is_cancelled,
  created_at: m.created_at,
  approved_at: m.approved_at,
  activated_at: m.activated_at,
  resolution_proposed_at: m.resolution_proposed_at,
  dispute_initiated_at: m.dispute_initiated_at,
  resolved_at: m.resolved_at,
  finalized_at: m.finalized_at,
  cancelled_at: m.cancelled_at,
  last_trade_at: m.last_trade_at,
  updated_at: m.updated_at,
  createdAt: m.created_at,
  activatedAt: m.activated_at,
  resolutionTime: m.resolution_proposed_at,
  finalizedAt: m.finalized_at,
  last_seq: number(m.last_seq),
});
const full = (m) => ({
  ...brief(m),
  resolver_wallet: m.resolver_wallet,
  dispute_initiator: m.dispute_initiator,
  ipfs_question_hash: m.ipfs_question_hash,
  ipfs_evidence_hash: m.ipfs_evidence_hash,
  proposal_likes: number(m.proposal_likes),
  proposal_dislikes: number(m.proposal_dislikes),
  proposal_total_votes: number(m.proposal_total_votes),
  dispute_agree: number(m.dispute_agree),
  dispute_disagree: number(m.dispute_disagree),
  dispute_total_votes: number(m.dispute_total_votes),
  accumulated_resolver_fees: number(m.accumulated_resolver_fees),
  accumulated_resolver_fees_exact: m.accumulated_resolver_fees,
  accumulated_lp_fees: number(m.accumulated_lp_fees),
  accumulated_lp_fees_exact: m.accumulated_lp_fees,
  protocol_fees_paid: number(m.protocol_fees_paid),
  protocol_fees_paid_exact: m.protocol_fees_paid,
  market_lamports: number(m.market_lamports),
  market_lamports_exact: m.market_lamports,
  liquidity_withdrawn_at: m.liquidity_withdrawn_at,
});
const trade = (t) => ({
  id: `${t.tx_signature}:${t.ordinal}`,
  market_id: t.market_id,
  marketId: t.market_id,
  market_pubkey: t.account,
  user_wallet: t.user_wallet,
  trader: t.user_wallet,
  trader_pubkey: t.user_wallet,
  trade_type: t.trade_type,
  outcome: t.outcome,
  outcome_bool: t.outcome === "YES",
  shares: number(t.shares),
  shares_exact: t.shares,
  cost: number(t.cost),
  cost_exact: t.cost,
  gross_lamports: t.gross,
  protocol_fee_lamports: t.protocol_fee,
  resolver_fee_lamports: t.resolver_fee,
  lp_fee_lamports: t.lp_fee,
  are_fees_exact: t.fees_exact,
  price_after: price(t.price_yes),
  price: t.outcome === "YES" ? price(t.price_yes) : opposite(t.price_yes),
  new_price_yes: number(t.price_yes),
  tx_signature: t.tx_signature,
  ordinal: t.ordinal,
  slot: number(t.slot),
  seq: number(t.seq),
  block_time: t.block_time,
  created_at: t.block_time,
  timestamp: t.block_time,
});
const cursor = (sort, key, place) => Buffer.from(JSON.stringify([sort, String(key), Number(place)])).toString("base64url");
const asked = (request, usual) => [request.query.limit ?? usual, request.query.offset ?? "0"].map((text) => Number.parseInt(text, 10));
const missing = (request, response) =>
  response.status(404).json({ error: "Not Found", message: `Market not found: ${request.params.id}` });

const app = express();
app.disable("x-powered-by");
app.disable("etag");
app.get("/health", (_, response) => response.json({ status: "healthy" }));
app.get("/api/markets", async (request, response) => {
  const [limit, offset] = asked(request, "20");
  const [found, [{ count }], as_of] = await Promise.all([
    ask("markets", MARKETS, [limit + 1, offset]),
    ask("count", COUNT, []),
    position(["markets"]),
  ]);
  const shown = found.slice(0, limit);
  const last = shown.at(-1);
  const next_cursor = found.length > limit ? cursor("newest", last.created_at.toISOString(), last.market_no) : null;
  response.json({ markets: shown.map(brief), count: Number(count), count_is_exact: true, limit, offset, next_cursor, as_of });
});
app.get("/api/markets/:id", async (request, response) => {
  const [[market], as_of] = await Promise.all([ask("market", MARKET, [request.params.id]), position(["markets"])]);
  if (!market) return missing(request, response);
  response.json({ ...full(market), as_of });
});
app.get("/api/markets/:id/trades", async (request, response) => {
  const [limit, offset] = asked(request, "50");
  const [found, [named], as_of] = await Promise.all([
    ask("trades", TRADES, [request.params.id, limit + 1, offset]),
    ask("named", NAMED, [request.params.id]),
    position(["trades", "markets"]),
  ]);
  if (!named) return missing(request, response);
  const shown = found.slice(0, limit);
  const next_cursor = found.length > limit ? cursor("trades", shown.at(-1).order_key, shown.at(-1).seq) : null;
  const { market_id } = named;
  response.json({ trades: shown.map(trade), count: shown.length, limit, offset, next_cursor, market_id, as_of });
});
app.listen(Number(process.env.PORT), "127.0.0.1");
