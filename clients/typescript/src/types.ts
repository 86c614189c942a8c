/** The shapes of requests and answers. Written by clients/generate.py from the specification; change that instead. */

/** Slots with transactions that no node proves; an operator accepted them, so that finality goes on. */
export interface AcceptedGap {
  gap_no: number;
  from_slot: number;
  to_slot: number;
  accepted_at: string;
  /** For METRICS_TOKEN and OPERATOR_WALLETS; null for others. */
  reason: string | null;
  /** Transactions that the chain lists and the log lacks. */
  missing: number;
  /** Transactions of the log that no node lists; they stay confirmed. */
  unproven: number;
}

/** The limits of the caller, and what is left of them. */
export interface AccountLimits {
  /** Null for a caller that is not signed in. */
  wallet: string | null;
  /** That of an API key; basic for all other callers. */
  tier: "basic" | "maker" | "pro";
  /** Those of the API key; null without one. */
  scopes: ("read" | "trade" | "write")[] | null;
  /** The cost of requests a minute; null if it is not limited. */
  per_minute: number | null;
  /** What is left of per_minute. */
  remaining: number | null;
  /** Seconds until the minute ends. */
  resets_in_seconds: number | null;
  /** The cost of requests a second with an API key; null without one. */
  per_second: number | null;
  /** Streams that may be open from one address. */
  streams_per_address: number;
  topics_per_stream: number;
  /** The largest body of a request. */
  body_bytes: number;
  /** Valid API keys that a wallet may have. */
  api_keys: number;
}

/** The result of the request. */
export interface Ack {
  message: string;
}

/** One event of the program, with readable text. */
export interface Activity {
  /** tx_signature:ordinal. */
  id: string;
  type: "approval" | "creation" | "dispute" | "payout" | "protocol" | "resolution" | "trade" | "vote";
  /** The program's name of the event. */
  event: string;
  /** Text that follows the wallet's name. */
  action: string;
  /** Null for events of the whole protocol. */
  market_id: string | null;
  /** The wallet that acted, if the event names one. */
  user_wallet: string | null;
  /** Lamports transferred, if any. */
  amount: string | null;
  tx_signature: string;
  ordinal: number;
  slot: number;
  seq: number;
  block_time: string;
}

/** One open alert, for operators. */
export interface AlertDetail {
  subject: string;
  severity: "critical" | "info" | "warning";
  message: string;
  occurrences: number;
  raised_at: string;
  last_at: string;
}

/** The open alerts of one kind: conditions that an operator should check. */
export interface AlertKind {
  kind: string;
  /** The most severe of them. */
  severity: "critical" | "info" | "warning";
  /** How many are open. */
  open: number;
  last_at: string;
  /** The newest 20 with their texts, for METRICS_TOKEN and OPERATOR_WALLETS; null for others. */
  details: AlertDetail[] | null;
}

/** An API key of the wallet, without the key itself. */
export interface ApiKey {
  id: string;
  /** What the key is for; only you see it. */
  name: string;
  scopes: ("read" | "trade" | "write")[];
  created_at: string;
  /** Null if it is valid until it is revoked. */
  expires_at: string | null;
  revoked_at: string | null;
}

/** The API keys of the wallet, newest first. */
export interface ApiKeys {
  keys: ApiKey[];
}

/** The position of a response: its rows reflect this log up to this entry. */
export interface AsOf {
  /** Id of this history of the log; a restore starts a new one. */
  epoch: string;
  /** The newest log entry that the rows reflect. */
  seq: number;
  /** Opaque; send it unchanged as `since`. Compare order by epoch and seq. */
  position: string;
  /** The newest slot with an event; null before the first. */
  slot: number | null;
  commitment: "confirmed" | "finalized";
}

/** Authenticate with a token or a ticket. */
export interface Authenticate {
  action: "auth";
  token?: string;
  ticket?: string;
  wallet?: string;
}

/** The wallet of the connection. */
export interface Authenticated {
  type: "authenticated";
  timestamp: string;
  data: {
  wallet: string;
};
  market_id?: string;
}

/** The text to sign for a ballot. */
export interface BallotText {
  message: string;
  nonce: string;
  expires_at: string;
}

/** A purchase: of `shares` for at most `max_cost`, or of the shares that `max_cost` buys. */
export interface BuyShares {
  /** A market's 64 hexadecimal digits, or the address of its account. */
  market_id: string;
  /** YES or NO; true and false, which earlier clients send, mean the same. */
  outcome: "NO" | "YES" | boolean;
  /** The most you pay in lamports, fees included. */
  max_cost: number | string;
  /** Nine decimals; at least 1000000. Default: the shares that max_cost buys. */
  shares?: number | string;
}

/** The price of YES in a span of time, and the volume traded. */
export interface Candle {
  /** Start of the interval, by the chain's clock. */
  bucket_at: string;
  /** Billionths, after the first trade. */
  open: string;
  /** An integer as text, because it may exceed 2**53. */
  high: string;
  /** An integer as text, because it may exceed 2**53. */
  low: string;
  /** Billionths, after the last trade. */
  close: string;
  /** For display; 0 to 1. */
  open_price: number;
  high_price: number;
  low_price: number;
  close_price: number;
  /** Lamports: buys with fees, sells before fees. */
  volume: string;
  /** Lamports of buys with fees. */
  buy_volume: string;
  /** Shares traded, in billionths. */
  shares_volume: string;
  trades_count: number;
  /** No trade in this interval; all prices are the previous close. */
  is_carried: boolean;
}

/** The candles of several markets in the order of the request, all read at one position of the log. */
export interface CandleBatch {
  interval: "1d" | "1h" | "1m" | "5m";
  series: CandleSeries[];
  /** The requested names that are no market. */
  missing: string[];
  from: string | null;
  to: string | null;
  limit: number;
  as_of: AsOf;
}

/** A window of candles of several markets; markets times `limit` is at most 10,000. */
export interface CandleBatchRequest {
  /** Ids of 64 hexadecimal digits, or addresses; each one once. */
  markets: string[];
  interval?: "1d" | "1h" | "1m" | "5m";
  /** Unix seconds or ISO 8601 (UTC). */
  from?: string | null;
  /** End of the window, exclusive; default: the newest event. */
  to?: string | null;
  /** Candles of each market, the newest of the window. */
  limit?: number;
  /** Also candles without a trade; they carry the previous close. */
  fill?: boolean;
}

/** The candles of one market, the newest last. */
export interface CandleSeries {
  market_id: string;
  candles: Candle[];
}

/** A market's candles, the newest last. */
export interface Candles {
  market_id: string;
  interval: "1d" | "1h" | "1m" | "5m";
  candles: Candle[];
  from: string | null;
  to: string | null;
  limit: number;
  as_of: AsOf;
}

/** A ballot and its proof: the signed text of GET /api/votes/message. */
export interface CastBallot {
  /** A market's 64 hexadecimal digits, or the address of its account. */
  market_id: string;
  /** proposal: true likes it; dispute: true agrees with the dispute. */
  vote: boolean;
  /** The text of GET /api/votes/message; this or signed_message. */
  message?: string;
  /** The signed bytes in base64, as signIn and signMessage return them; also an off-chain envelope. */
  signed_message?: string;
  /** An ed25519 signature of 64 bytes, in base58 (or base64). */
  signature: string;
  /** A wallet's address in base58. */
  wallet: string;
}

/** The message about a ballot, as in the earlier backend. */
export interface CastMetadata {
  message: string;
  market_id: string;
  vote_type: "dispute" | "proposal";
  user_wallet: string;
}

/** A recorded ballot. */
export interface CastVote {
  /** The seq of its log entry. */
  seq: number;
  market_id: string;
  user_wallet: string;
  vote: boolean;
  voted_at: string;
  tx_signature?: null;
}

/** The ballot that was cast. */
export interface CastVotes {
  data: CastVote[];
  count: number;
  metadata: CastMetadata;
}

/** The five largest categories; those without a market are left out. */
export interface Categories {
  categories: CategoryCount[];
  count: number;
  as_of: AsOf;
}

/** A category with its markets. */
export interface CategoryCount {
  id: "crypto" | "entertainment" | "other" | "politics" | "science" | "sports";
  /** The id with a capital letter. */
  name: string;
  count: number;
  emoji: string;
  /** Growth in the last week, such as "+12%". */
  trend: string;
}

/** A warning to read before sending. */
export interface Caution {
  code: "becomes_past_turning_point" | "no_shares" | "past_turning_point" | "sales_unproven";
  message: string;
}

/** The new text of a post. */
export interface ChangedPost {
  /** Text, stored unchanged. */
  content: string;
}

/** The stream ends; reconnect with your last id. */
export interface CloseEvent {
  reason: "shutdown" | "slow" | "token_expired" | "key_revoked";
}

/** How far completeness is proven: not at all, up to a slot, or for everything so far. */
export interface Completeness {
  state: "behind" | "refused" | "unverified" | "verified";
  reason: string;
  /** The cluster's consensus, by its nodes' certificate. With alpenglow, confirmed and finalized mean the same. unknown: no node can be asked, or none knows the method. */
  consensus: "alpenglow" | "tower" | "unknown";
  /** Measured length of a slot; null before the first walk. */
  slot_seconds: number | null;
}

/** The event that set a field. */
export interface ConfigSource {
  event: string;
  tx_signature: string;
  slot: number;
  seq: number;
  block_time: string;
}

/** The event that set each field; null if no event did and the value is the one that initialize sets. */
export interface ConfigSources {
  protocol_fee_bps: ConfigSource | null;
  resolver_reward_bps: ConfigSource | null;
  liquidity_provider_fee_bps: ConfigSource | null;
  proposal_approval_threshold: ConfigSource | null;
  dispute_success_threshold: ConfigSource | null;
  min_resolution_delay: ConfigSource | null;
  dispute_period: ConfigSource | null;
  is_paused: ConfigSource | null;
  admin: ConfigSource | null;
  backend_authority: ConfigSource | null;
}

/** A new market. The content id of its text is anchored on chain, so the text cannot change. */
export interface CreateMarket {
  question: string;
  category: "crypto" | "entertainment" | "other" | "politics" | "science" | "sports";
  end_date: string;
  /** Lamports, at least 1000000000; declared, not paid. */
  liquidity: number | string;
  /** Lamports. Default: the liquidity, and at least the 100 SOL that trading requires. */
  b_parameter?: number | string;
  description?: string | null;
  tags?: string[];
  /** Your own id; random by default. */
  market_id?: string;
}

/** A new API key. It is shown only here. */
export interface CreatedApiKey {
  /** For Authorization: Bearer. Store it now: only its hash is stored here. */
  key: string;
  api_key: ApiKey;
}

/** The next deadline by the chain's clock. It may be in the past: a transaction is needed to act on it. */
export interface Deadline {
  name: "dispute_closes_at" | "voting_closes_at";
  at: string;
}

/** A decision that was recorded. */
export interface Decided {
  message: string;
  /** Its log entry. */
  seq: number;
}

/** One post. `content` is text, never markup: show it as text. */
export interface Discussion {
  id: string;
  market_id: string;
  marketId: string;
  user_wallet: string;
  author: string;
  /** Empty after deletion. */
  content: string;
  /** The post that this one replies to. */
  parent_id: string | null;
  parentId: string | null;
  upvotes: number;
  downvotes: number;
  /** Number of wallets that reported it. */
  flags: number;
  isFlagged: boolean;
  /** Number of edits. */
  edits: number;
  created_at: string;
  createdAt: string;
  edited_at: string | null;
  deleted_at: string | null;
  last_seq: number;
}

/** A post under a market was created, changed or rated. */
export interface DiscussionEvent {
  action: "created" | "deleted" | "edited" | "reacted";
  discussion: DiscussionPost;
  postId: string;
  author: string;
  content: string | null;
  parentId: string | null;
  market_id: string;
  /** Seq of the log entry of this message. */
  seq: number;
}

/** A post under a market was created, changed or rated. */
export interface DiscussionMessage {
  type: "discussion";
  market_id: string | null;
  timestamp: string;
  data: DiscussionEvent;
}

/** A post in its current state; a post that was deleted since is sent without its text. */
export interface DiscussionPost {
  /** The post's id, as in REST. */
  id: string;
  user_wallet: string;
  content: string | null;
  parent_id: string | null;
  upvotes: number;
  downvotes: number;
  created_at: string;
  edited_at: string | null;
  deleted_at: string | null;
}

/** A market's posts, the newest first. */
export interface Discussions {
  discussions: Discussion[];
  /** Number of rows on this page. */
  count: number;
  limit: number;
  offset: number;
  next_cursor: string | null;
  market_id: string;
  as_of: AsOf;
}

/** A ballot on a dispute; agree is against the proposed outcome. */
export interface DisputeBallot {
  /** An ed25519 signature of 64 bytes, in base58 (or base64). */
  signature: string;
  /** A wallet's address in base58. */
  publicKey: string;
  /** The text of GET /api/votes/message; this or signed_message. */
  message?: string;
  /** The signed bytes in base64, as signIn and signMessage return them; also an off-chain envelope. */
  signed_message?: string;
  vote: "agree" | "disagree";
}

/** A dispute's tally, in the format of the earlier vote aggregator. */
export interface DisputeCounts {
  success: true;
  marketId: string;
  counts: DisputeTally;
  as_of: AsOf;
}

/** A dispute's tally. */
export interface DisputeTally {
  /** Agrees with the dispute, and so disagrees with the proposed outcome. */
  agrees: number;
  disagrees: number;
  total: number;
}

/** A dispute's tally, by the names that earlier tests read. */
export interface DisputeVotes {
  /** Agrees with the dispute, and so disagrees with the proposed outcome. */
  agrees: number;
  disagrees: number;
}

/** The text of a post before an edit. */
export interface Edit {
  content_before: string;
  edited_at: string;
}

/** A post's history, the latest edit first; at most 100. */
export interface Edits {
  id: string;
  content: string;
  edits: Edit[];
  as_of: AsOf;
}

/** The reason why your message was rejected; the connection stays open. */
export interface Error {
  type: "error";
  timestamp: string;
  data: {
  error: string;
  code: "invalid_message" | "unknown_action" | "market_id_required" | "unknown_topic" | "too_many_topics" | "invalid_since" | "not_signed_in" | "forbidden" | "token_expired" | "wrong_wallet" | "too_many_messages" | "too_many_streams" | "unavailable";
  detail: string;
};
  market_id?: string;
}

/** What becomes of an event. Its markets stay as they are. */
export interface EventDecision {
  action: "hide" | "restore";
  /** Public. */
  reason: string;
}

/** An event in a list. */
export interface EventGroup {
  /** Its name in addresses; earlier ones keep leading to it. */
  slug: string;
  title: string;
  description: string | null;
  /** The wallet that made it. */
  user_wallet: string;
  markets_count: number;
  created_at: string;
  updated_at: string;
}

/** An event as it is now: markets under one title. One that a moderator hid is in no message. */
export interface EventGroupEvent {
  action: "deleted" | "saved";
  slug: string;
  title: string;
  description: string | null;
  /** The wallet that made it. */
  user_wallet: string;
  /** The ids of its markets in their order; empty once it is deleted. */
  markets: string[];
  /** Seq of the log entry of this message. */
  seq: number;
}

/** An event as it is now: markets under one title. One that a moderator hid is in no message. */
export interface EventGroupMessage {
  type: "event_group";
  market_id: string | null;
  timestamp: string;
  data: EventGroupEvent;
}

/** Events, the newest first. */
export interface EventGroupPage {
  events: EventGroup[];
  limit: number;
  /** Send it as `before` for the next page; null on the last. */
  next_before: number | null;
  as_of: AsOf;
}

/** An event that was made, replaced or deleted. */
export interface EventGroupResult {
  message: string;
  /** Its name in addresses; earlier ones keep leading to it. */
  slug: string;
  /** The last of its log entries. */
  seq: number;
}

/** An event with its markets in their order, from one snapshot. */
export interface EventGroupWithMarkets {
  /** Its name in addresses; earlier ones keep leading to it. */
  slug: string;
  title: string;
  description: string | null;
  /** The wallet that made it. */
  user_wallet: string;
  markets_count: number;
  created_at: string;
  updated_at: string;
  markets: MarketBrief[];
  as_of: AsOf;
}

/** An event that the chain dropped, or whose place on the chain differs from the one that was sent. */
export interface EventRetracted {
  /** The seq of the entry that reported it. */
  ref: number;
  name: string;
  market_id: string | null;
  tx_signature: string;
  ordinal: number;
  /** The slot of its transaction. */
  slot: number;
  /** Seq of the log entry of this message. */
  seq: number;
}

/** One Parquet file. */
export interface ExportedFile {
  /** entries, commits, or the name of a mart. */
  table: string;
  rows: number;
  bytes: number;
  /** SHA-256, 64 hexadecimal digits. */
  sha256: string;
  /** Path of this server. It returns the file, or redirects to its store. */
  url: string;
}

/** Files that were published together, after they had been read back. */
export interface ExportedSegment {
  dataset: "log" | "marts";
  /** log: its first entry. marts: the same as last_seq. */
  first_seq: number;
  /** The last entry of the log that its rows hold. */
  last_seq: number;
  rows: number;
  bytes: number;
  /** The chain of the log at last_seq; null where no append ends there. */
  chain_value: string | null;
  /** Path of this server: the manifest of the files. */
  manifest: string;
  /** SHA-256, 64 hexadecimal digits. */
  manifest_sha256: string;
  exported_at: string;
  /** When the files were last read and had their digests. */
  verified_at: string;
  files: ExportedFile[];
}

/** A page of segments. */
export interface Exports {
  /** The history of the log that the files hold. */
  epoch: string;
  /** Every entry up to this one is in verified files; 0 without any. */
  exported_through: number;
  segments: ExportedSegment[];
  count: number;
  /** `after` of the next page; null on the last one. */
  next_after: number | null;
  as_of: AsOf;
}

/** The problem with one parameter. */
export interface FieldProblem {
  field: string;
  message: string;
}

/** The messages of one log entry for your topics; a frame without messages advances your position. */
export interface Frame {
  /** Id of this history of the log; a restore starts a new one. */
  epoch: string;
  /** Seq of the log entry. */
  seq: number;
  /** Opaque; send it unchanged as `since`. Compare order by epoch and seq. */
  position: string;
  messages: (TradeMessage | TradeExecutedMessage | VoteMessage | MarketEventMessage | RetractedMessage | MovedMessage | DiscussionMessage | ModerationMessage | ProfileMessage | MarketMetadataMessage | MarketPageMessage | EventGroupMessage | StatusMessage | MarketStateMessage | MarketUpdateMessage | PriceUpdateMessage | VoteTallyMessage | PositionUpdateMessage)[];
}

/** The process is running. */
export interface Health {
  status: "healthy";
  service: string;
  timestamp: string;
  /** Seconds since the process started to serve. */
  uptime: number;
  environment: string;
}

/** The signed-in wallet's position in a market, in lamports and billionths of a share. */
export interface HeldPosition {
  market_id: string;
  /** An integer as text, because it may exceed 2**53. */
  shares_yes: string;
  /** An integer as text, because it may exceed 2**53. */
  shares_no: string;
  /** An integer as text, because it may exceed 2**53. */
  total_invested: string;
  /** An integer as text, because it may exceed 2**53. */
  current_value: string;
  /** An integer as text, because it may exceed 2**53. */
  claimable: string;
  /** An integer as text, because it may exceed 2**53. */
  realized_pnl: string;
  /** An integer as text, because it may exceed 2**53. */
  unrealized_pnl: string;
  has_claimed: boolean;
}

/** A wallet that holds shares of a market. */
export interface Holder {
  user_wallet: string;
  /** An integer as text, because it may exceed 2**53. */
  shares_yes: string;
  /** An integer as text, because it may exceed 2**53. */
  shares_no: string;
  /** Lamports paid for buys, fees included. */
  total_invested: string;
  /** Of all YES shares that wallets hold. */
  share_of_yes_bps: number;
  share_of_no_bps: number;
  last_seq: number;
}

/** A market's holders, the largest first. */
export interface Holders {
  market_id: string;
  holders: Holder[];
  /** Number of rows on this page. */
  count: number;
  limit: number;
  next_cursor: string | null;
  as_of: AsOf;
}

/** What becomes of an image, wherever it is shown. The bytes of an erased image are refused when they come again. */
export interface ImageDecision {
  action: "erase" | "hide" | "restore";
  /** Public. */
  reason: string;
}

/** A keeper, its last round, and what waits for it. */
export interface KeeperStatus {
  name: string;
  /** Markets that wait for it, estimated; null before the first estimate. */
  waiting: number | null;
  /** Null when it has never run. */
  last_round_at: string | null;
  last_round_age_seconds: number | null;
  /** Whether that round signed nothing. */
  is_dry: boolean | null;
  outcome: "failed" | "skipped" | "stopped" | "worked" | null;
  /** Actions that were due in that round. */
  due: number | null;
  sent: number | null;
}

/** The age of the newest entry and event. */
export interface Lag {
  last_entry_at: string | null;
  last_entry_age_seconds: number | null;
  /** By the chain's clock. */
  last_event_at: string | null;
  last_event_age_seconds: number | null;
}

/** Wallets by rank; by win rate, only those with at least three decided positions. */
export interface Leaderboard {
  leaderboard: RankedWallet[];
  count: number;
  period: "24h" | "30d" | "7d" | "all";
  by: "profit" | "trades" | "volume" | "win_rate";
  limit: number;
  offset: number;
  as_of: AsOf;
}

/** The steps of a market's life, the oldest first. */
export interface Lifecycle {
  market_id: string;
  state: "ACTIVE" | "APPROVED" | "CANCELLED" | "DISPUTED" | "FINALIZED" | "PROPOSED" | "RESOLVING";
  outcome: "INVALID" | "NO" | "YES" | null;
  timeline: LifecycleEvent[];
  /** By the current configuration. */
  dispute_period_seconds: string;
  /** Period in which dispute ballots are accepted. */
  voting_window_seconds: string;
  /** While the outcome is open to dispute or disputed. */
  dispute_closes_at: string | null;
  /** While disputed. */
  voting_closes_at: string | null;
  next_deadline: Deadline | null;
  as_of: AsOf;
}

/** A step in a market's life. */
export interface LifecycleEvent {
  event: string;
  /** Null if the step changes no state. */
  to_state: "ACTIVE" | "APPROVED" | "CANCELLED" | "DISPUTED" | "FINALIZED" | "PROPOSED" | "RESOLVING" | null;
  user_wallet: string | null;
  tx_signature: string;
  slot: number;
  seq: number;
  block_time: string;
}

/** A market with all its fields. */
export interface Market {
  /** The market id: 64 hexadecimal digits. */
  id: string;
  on_chain_address: string;
  /** Its name in addresses: a-z, 0-9 and hyphens, made from the question; `market-` and the id until there is one. It changes with the question, and earlier ones keep leading to the market. */
  slug: string;
  /** A placeholder with the id until the creator has set one. */
  question: string;
  description: string | null;
  category: "crypto" | "entertainment" | "other" | "politics" | "science" | "sports";
  tags: string[];
  end_date: string | null;
  /** The path of its image on this server; null without one. */
  image_url: string | null;
  /** The slug of the event that it is in; see /api/events. */
  event_slug: string | null;
  state: "ACTIVE" | "APPROVED" | "CANCELLED" | "DISPUTED" | "FINALIZED" | "PROPOSED" | "RESOLVING";
  /** The same as state. */
  status: "ACTIVE" | "APPROVED" | "CANCELLED" | "DISPUTED" | "FINALIZED" | "PROPOSED" | "RESOLVING";
  /** The program's number of the state. */
  state_code: number;
  /** Null until finalized. */
  outcome: "INVALID" | "NO" | "YES" | null;
  creator_wallet: string;
  creator: string;
  b_parameter: number;
  /** The integer beside it, exactly. */
  b_parameter_exact: string;
  liquidityParameter: number;
  initial_liquidity: number | null;
  initial_liquidity_exact: string | null;
  current_liquidity: number | null;
  current_liquidity_exact: string | null;
  shares_yes: number;
  /** The integer beside it, exactly. */
  shares_yes_exact: string;
  shares_no: number;
  /** The integer beside it, exactly. */
  shares_no_exact: string;
  totalShares: number;
  total_volume: number;
  /** The integer beside it, exactly. */
  total_volume_exact: string;
  trades_count: number;
  /** Billionths; null below the smallest tradable liquidity. */
  price_yes: number | null;
  current_price_yes: number | null;
  current_price_no: number | null;
  priceYes: number | null;
  priceNo: number | null;
  proposed_outcome: boolean | null;
  /** Null before the end and for INVALID; see outcome. */
  final_outcome: boolean | null;
  was_disputed: boolean;
  is_cancelled: boolean;
  created_at: string;
  approved_at: string | null;
  activated_at: string | null;
  resolution_proposed_at: string | null;
  dispute_initiated_at: string | null;
  resolved_at: string | null;
  finalized_at: string | null;
  cancelled_at: string | null;
  last_trade_at: string | null;
  /** When the log received the newest entry that changed this row. */
  updated_at: string;
  createdAt: string;
  activatedAt: string | null;
  resolutionTime: string | null;
  finalizedAt: string | null;
  /** The newest log entry that changed this row. */
  last_seq: number;
  resolver_wallet: string | null;
  dispute_initiator: string | null;
  ipfs_question_hash: string | null;
  ipfs_evidence_hash: string | null;
  /** As last aggregated on chain. */
  proposal_likes: number;
  proposal_dislikes: number;
  proposal_total_votes: number;
  dispute_agree: number;
  dispute_disagree: number;
  dispute_total_votes: number;
  accumulated_resolver_fees: number;
  /** The integer beside it, exactly. */
  accumulated_resolver_fees_exact: string;
  accumulated_lp_fees: number;
  /** The integer beside it, exactly. */
  accumulated_lp_fees_exact: string;
  protocol_fees_paid: number;
  /** The integer beside it, exactly. */
  protocol_fees_paid_exact: string;
  /** The account's balance in the newest event that has one. */
  market_lamports: number | null;
  market_lamports_exact: string | null;
  liquidity_withdrawn_at: string | null;
  as_of: AsOf;
}

/** The events of one market. */
export interface MarketActivity {
  activity: Activity[];
  /** Number of rows on this page. */
  count: number;
  limit: number;
  next_cursor: string | null;
  as_of: AsOf;
  market_id: string;
}

/** Markets in the order of the request, all read at one position of the log. */
export interface MarketBatch {
  markets: MarketWithPrices[];
  /** Those of the access token's wallet in these markets; none without one. */
  positions: HeldPosition[];
  /** The requested names that are no market. */
  missing: string[];
  as_of: AsOf;
}

/** The markets of a page. */
export interface MarketBatchRequest {
  /** Ids of 64 hexadecimal digits, or addresses; each one once. */
  markets: string[];
  /** Most prices of each sparkline. */
  points?: 0 | 10 | 25 | 50 | 100;
}

/** A market in a list. */
export interface MarketBrief {
  /** The market id: 64 hexadecimal digits. */
  id: string;
  on_chain_address: string;
  /** Its name in addresses: a-z, 0-9 and hyphens, made from the question; `market-` and the id until there is one. It changes with the question, and earlier ones keep leading to the market. */
  slug: string;
  /** A placeholder with the id until the creator has set one. */
  question: string;
  description: string | null;
  category: "crypto" | "entertainment" | "other" | "politics" | "science" | "sports";
  tags: string[];
  end_date: string | null;
  /** The path of its image on this server; null without one. */
  image_url: string | null;
  /** The slug of the event that it is in; see /api/events. */
  event_slug: string | null;
  state: "ACTIVE" | "APPROVED" | "CANCELLED" | "DISPUTED" | "FINALIZED" | "PROPOSED" | "RESOLVING";
  /** The same as state. */
  status: "ACTIVE" | "APPROVED" | "CANCELLED" | "DISPUTED" | "FINALIZED" | "PROPOSED" | "RESOLVING";
  /** The program's number of the state. */
  state_code: number;
  /** Null until finalized. */
  outcome: "INVALID" | "NO" | "YES" | null;
  creator_wallet: string;
  creator: string;
  b_parameter: number;
  /** The integer beside it, exactly. */
  b_parameter_exact: string;
  liquidityParameter: number;
  initial_liquidity: number | null;
  initial_liquidity_exact: string | null;
  current_liquidity: number | null;
  current_liquidity_exact: string | null;
  shares_yes: number;
  /** The integer beside it, exactly. */
  shares_yes_exact: string;
  shares_no: number;
  /** The integer beside it, exactly. */
  shares_no_exact: string;
  totalShares: number;
  total_volume: number;
  /** The integer beside it, exactly. */
  total_volume_exact: string;
  trades_count: number;
  /** Billionths; null below the smallest tradable liquidity. */
  price_yes: number | null;
  current_price_yes: number | null;
  current_price_no: number | null;
  priceYes: number | null;
  priceNo: number | null;
  proposed_outcome: boolean | null;
  /** Null before the end and for INVALID; see outcome. */
  final_outcome: boolean | null;
  was_disputed: boolean;
  is_cancelled: boolean;
  created_at: string;
  approved_at: string | null;
  activated_at: string | null;
  resolution_proposed_at: string | null;
  dispute_initiated_at: string | null;
  resolved_at: string | null;
  finalized_at: string | null;
  cancelled_at: string | null;
  last_trade_at: string | null;
  /** When the log received the newest entry that changed this row. */
  updated_at: string;
  createdAt: string;
  activatedAt: string | null;
  resolutionTime: string | null;
  finalizedAt: string | null;
  /** The newest log entry that changed this row. */
  last_seq: number;
}

/** The state of a market, in short form. */
export interface MarketChanged {
  market_id: string;
  state: "ACTIVE" | "APPROVED" | "CANCELLED" | "DISPUTED" | "FINALIZED" | "PROPOSED" | "RESOLVING";
  state_code: number;
  outcome: "INVALID" | "NO" | "YES" | null;
  priceYes: number | null;
  priceNo: number | null;
  /** Nine decimals. */
  totalShares: number;
  /** Lamports. */
  total_volume: number;
  /** The integer beside it, exactly. */
  total_volume_exact: string;
  trades_count: number;
  last_trade_at: string | null;
  /** The newest log entry that this state reflects. */
  last_seq: number;
}

/** Any other event of the program. */
export interface MarketEvent {
  name: string;
  market_id: string | null;
  user_wallet: string | null;
  /** The event's other fields; 64-bit integers are text. */
  payload: Record<string, unknown>;
  tx_signature: string;
  ordinal: number;
  /** The slot of its transaction. */
  slot: number;
  /** Seq of the log entry of this message. */
  seq: number;
  created_at: string;
}

/** Any other event of the program. */
export interface MarketEventMessage {
  type: "market_event";
  market_id: string | null;
  timestamp: string;
  data: MarketEvent;
}

/** The image of a market as it is now. */
export interface MarketImage {
  market_id: string;
  /** Its path on this server; null after it was removed. */
  image_url: string | null;
  /** Its log entry. */
  seq: number;
}

/** Metadata of a market, as published by its creator. */
export interface MarketMetadataEvent {
  market_id: string;
  question: string;
  description: string | null;
  category: "crypto" | "entertainment" | "other" | "politics" | "science" | "sports";
  tags: string[];
  end_date: string | null;
  /** The market's name in addresses, as in REST. */
  slug: string;
  /** Seq of the log entry of this message. */
  seq: number;
}

/** Metadata of a market, as published by its creator. */
export interface MarketMetadataMessage {
  type: "market_metadata";
  market_id: string | null;
  timestamp: string;
  data: MarketMetadataEvent;
}

/** A page of markets. */
export interface MarketPage {
  markets: MarketBrief[];
  /** Number of all markets that match the filters. */
  count: number;
  /** False when `q` matches more than were counted. */
  count_is_exact: boolean;
  limit: number;
  offset: number;
  /** Send it as `cursor`; null on the last page. */
  next_cursor: string | null;
  as_of: AsOf;
}

/** What a market's page shows beside its metadata, as it is now. */
export interface MarketPageEvent {
  market_id: string;
  /** The path of its image; null without one. */
  image_url: string | null;
  /** The slug of the event that it is in. */
  event_slug: string | null;
  /** Seq of the log entry of this message. */
  seq: number;
}

/** What a market's page shows beside its metadata, as it is now. */
export interface MarketPageMessage {
  type: "market_page";
  market_id: string | null;
  timestamp: string;
  data: MarketPageEvent;
}

/** The state of a market, in the format for older clients. */
export interface MarketStateMessage {
  type: "market_state";
  market_id: string | null;
  timestamp: string;
  data: MarketStateSnapshot;
}

/** The state of a market, in the format for older clients. */
export interface MarketStateSnapshot {
  action: "created" | "snapshot" | "updated";
  old_state: null;
  new_state: "ACTIVE" | "APPROVED" | "CANCELLED" | "DISPUTED" | "FINALIZED" | "PROPOSED" | "RESOLVING" | null;
  /** null for an unknown market. */
  market: MarketBrief | null;
  /** 0 to 1. */
  priceYes: number;
  /** 0 to 1. */
  priceNo: number;
  /** Nine decimals. */
  totalShares: number;
}

/** The sums of a market's trades. */
export interface MarketStats {
  market_id: string;
  stats: TradingStats;
  as_of: AsOf;
}

/** Trades of one market. */
export interface MarketTradePage {
  trades: Trade[];
  /** Number of rows on this page. */
  count: number;
  limit: number;
  offset: number;
  next_cursor: string | null;
  as_of: AsOf;
  market_id: string;
}

/** The state of a market, in short form. */
export interface MarketUpdateMessage {
  type: "market_update";
  market_id: string | null;
  timestamp: string;
  data: MarketChanged;
}

/** A market's ballots of one kind. */
export interface MarketVotes {
  votes: Vote[];
  stats: VoteStats;
  limit: number;
  offset: number;
  market_id: string;
  type: "dispute" | "proposal";
  as_of: AsOf;
}

/** A market with its newest prices. */
export interface MarketWithPrices {
  /** The market id: 64 hexadecimal digits. */
  id: string;
  on_chain_address: string;
  /** Its name in addresses: a-z, 0-9 and hyphens, made from the question; `market-` and the id until there is one. It changes with the question, and earlier ones keep leading to the market. */
  slug: string;
  /** A placeholder with the id until the creator has set one. */
  question: string;
  description: string | null;
  category: "crypto" | "entertainment" | "other" | "politics" | "science" | "sports";
  tags: string[];
  end_date: string | null;
  /** The path of its image on this server; null without one. */
  image_url: string | null;
  /** The slug of the event that it is in; see /api/events. */
  event_slug: string | null;
  state: "ACTIVE" | "APPROVED" | "CANCELLED" | "DISPUTED" | "FINALIZED" | "PROPOSED" | "RESOLVING";
  /** The same as state. */
  status: "ACTIVE" | "APPROVED" | "CANCELLED" | "DISPUTED" | "FINALIZED" | "PROPOSED" | "RESOLVING";
  /** The program's number of the state. */
  state_code: number;
  /** Null until finalized. */
  outcome: "INVALID" | "NO" | "YES" | null;
  creator_wallet: string;
  creator: string;
  b_parameter: number;
  /** The integer beside it, exactly. */
  b_parameter_exact: string;
  liquidityParameter: number;
  initial_liquidity: number | null;
  initial_liquidity_exact: string | null;
  current_liquidity: number | null;
  current_liquidity_exact: string | null;
  shares_yes: number;
  /** The integer beside it, exactly. */
  shares_yes_exact: string;
  shares_no: number;
  /** The integer beside it, exactly. */
  shares_no_exact: string;
  totalShares: number;
  total_volume: number;
  /** The integer beside it, exactly. */
  total_volume_exact: string;
  trades_count: number;
  /** Billionths; null below the smallest tradable liquidity. */
  price_yes: number | null;
  current_price_yes: number | null;
  current_price_no: number | null;
  priceYes: number | null;
  priceNo: number | null;
  proposed_outcome: boolean | null;
  /** Null before the end and for INVALID; see outcome. */
  final_outcome: boolean | null;
  was_disputed: boolean;
  is_cancelled: boolean;
  created_at: string;
  approved_at: string | null;
  activated_at: string | null;
  resolution_proposed_at: string | null;
  dispute_initiated_at: string | null;
  resolved_at: string | null;
  finalized_at: string | null;
  cancelled_at: string | null;
  last_trade_at: string | null;
  /** When the log received the newest entry that changed this row. */
  updated_at: string;
  createdAt: string;
  activatedAt: string | null;
  resolutionTime: string | null;
  finalizedAt: string | null;
  /** The newest log entry that changed this row. */
  last_seq: number;
  /** Price of YES after the newest trades, the latest last. */
  sparkline: number[];
}

/** The stored metadata. */
export interface MetadataResult {
  message: string;
  market_id: string;
  /** The content id that a create instruction may anchor. */
  question_cid: string;
  /** Its log entry; null while the market does not exist. */
  seq: number | null;
}

/** A mart, and the log entry up to which it is complete. */
export interface ModelStatus {
  name: string;
  kind: string;
  /** It stopped and waits for an operator. */
  is_stale: boolean;
  applied_seq: number;
  /** Log entries that are not applied yet. */
  behind: number;
  stale_since: string | null;
  failed_event: number | null;
  /** The error of the last attempt, for METRICS_TOKEN and OPERATOR_WALLETS. */
  reason: string | null;
  built_at: string;
  /** An entry failed; the mart is retried automatically. */
  is_behind: boolean;
  behind_since: string | null;
  next_attempt_at: string | null;
}

/** One decision. */
export interface ModerationDecision {
  seq: number;
  action: "ban" | "clear" | "dismiss" | "erase" | "hide" | "restore" | "unban";
  subject: "event" | "image" | "post" | "profile" | "wallet";
  post_id: string | null;
  market_id: string | null;
  image_digest: string | null;
  event_slug: string | null;
  /** The wallet that the decision is about. */
  user_wallet: string;
  moderator_wallet: string;
  reason: string;
  decided_at: string;
}

/** A moderator's decision. After `hide` and `erase`, drop the post's text; after `restore`, read the post again. */
export interface ModerationEvent {
  action: "ban" | "clear" | "dismiss" | "erase" | "hide" | "restore" | "unban";
  subject: "event" | "image" | "post" | "profile" | "wallet";
  /** The post's id; null for other subjects. */
  post_id: string | null;
  market_id: string | null;
  /** The image's digest; null for other subjects. */
  image_digest: string | null;
  /** The event's slug; null for other subjects. */
  event_slug: string | null;
  /** The wallet that the decision is about. */
  user_wallet: string;
  moderator_wallet: string;
  reason: string;
  /** Seq of the log entry of this message. */
  seq: number;
}

/** Decisions of moderators, the newest first. */
export interface ModerationLog {
  decisions: ModerationDecision[];
  limit: number;
  /** Send it as `before` for the next page; null on the last. */
  next_before: number | null;
  as_of: AsOf;
}

/** A moderator's decision. After `hide` and `erase`, drop the post's text; after `restore`, read the post again. */
export interface ModerationMessage {
  type: "moderation";
  market_id: string | null;
  timestamp: string;
  data: ModerationEvent;
}

/** Reported posts, those with the most reports first. */
export interface ModerationQueue {
  posts: ReportedPost[];
  limit: number;
  /** Send it as `cursor` for the next page; null on the last. */
  next_cursor: string | null;
}

/** An event that the chain dropped, or whose place on the chain differs from the one that was sent. */
export interface MovedMessage {
  type: "moved";
  market_id: string | null;
  timestamp: string;
  data: EventRetracted;
}

/** An example query. */
export interface NamedQuery {
  name: string;
  /** Its text; the first line is the question that it answers. */
  statement: string;
}

/** An API key to create. */
export interface NewApiKey {
  /** What the key is for; only you see it. */
  name: string;
  /** `read`: what only the wallet sees, such as the topic me. `trade`: transactions to sign. `write`: ballots, comments, metadata. */
  scopes: ("read" | "trade" | "write")[];
  /** Without it, the key is valid until it is revoked. */
  expires_in_days?: number;
}

/** An event: a title and its markets in the order in which they are shown. */
export interface NewEventGroup {
  title: string;
  /** Ids or addresses. A market is in one event at a time. */
  markets: string[];
  description?: string | null;
}

/** An image for a market: PNG, JPEG or WebP, not animated, at most 4096 pixels a side and 4,194,304 together. */
export interface NewImage {
  /** The file in base64, at most 512 KiB. */
  content: string;
}

/** A new post or reply, with its market. */
export interface NewMarketPost {
  /** Text, stored unchanged. */
  content: string;
  parent_id?: string | null;
  parentId?: string | null;
  /** The market's id or address. */
  market_id: string;
}

/** A market's question and metadata; a market created with a content id accepts only exactly its document's text. */
export interface NewMetadata {
  question: string;
  description?: string | null;
  category?: "crypto" | "entertainment" | "other" | "politics" | "science" | "sports";
  tags?: string[];
  end_date?: string | null;
}

/** A new post or reply. */
export interface NewPost {
  /** Text, stored unchanged. */
  content: string;
  parent_id?: string | null;
  parentId?: string | null;
}

/** A wallet's public profile; a member that is left out, or null, is removed. Names are not unique. */
export interface NewProfile {
  display_name?: string | null;
  bio?: string | null;
}

/** Recent events of the whole platform, the latest first. */
export interface NewestActivities {
  activities: NewestActivity[];
  count: number;
  as_of: AsOf;
}

/** A recent event, in the format of the frontend's home page. */
export interface NewestActivity {
  id: string;
  type: "creation" | "resolution" | "trade";
  /** A wallet as "ABCDEF...WXYZ"; "protocol" for events without a wallet. */
  user: string;
  action: string;
  /** The question. */
  market: string;
  marketId: string;
  time: string;
  /** "1.10 SOL"; absent where nothing was paid. */
  amount?: string;
}

/** The fields for a wallet's signIn, and their text if the wallet is known. */
export interface NonceToSign {
  /** Valid once, until expires_at. */
  nonce: string;
  /** Host and port that the text must contain. */
  domain: string;
  /** The URI that the text must contain; it belongs to the domain. */
  uri: string;
  version: string;
  /** mainnet, devnet or localnet. */
  chain_id: string;
  statement: string;
  issued_at: string;
  expires_at: string;
  /** The text to sign, for wallets that only sign messages; null unless `wallet` was given. */
  message: string | null;
}

/** A wallet's position in the requested market. */
export interface OnePosition {
  market_id: string;
  marketId: string;
  market_address: string;
  market_pubkey: string;
  user_wallet: string;
  user_pubkey: string;
  userId: string;
  shares_yes: number;
  /** The integer beside it, exactly. */
  shares_yes_exact: string;
  sharesYes: number;
  shares_no: number;
  /** The integer beside it, exactly. */
  shares_no_exact: string;
  sharesNo: number;
  /** Lamports paid, fees included. */
  total_invested: number;
  /** The integer beside it, exactly. */
  total_invested_exact: string;
  invested: number;
  totalCost: number;
  total_proceeds: number;
  /** The integer beside it, exactly. */
  total_proceeds_exact: string;
  /** Lamports: shares at the current price; the claimable amount once final. */
  current_value: number;
  /** The integer beside it, exactly. */
  current_value_exact: string;
  claimable_amount: number;
  /** The integer beside it, exactly. */
  claimable_amount_exact: string;
  /** Lamports; profit is this plus realized_pnl. */
  unrealized_pnl: number;
  unrealizedPnL: number;
  /** The integer beside it, exactly. */
  unrealized_pnl_exact: string;
  /** Lamports. */
  realized_pnl: number;
  realizedPnL: number;
  /** The integer beside it, exactly. */
  realized_pnl_exact: string;
  trades_count: number;
  has_claimed: boolean;
  claimed_amount: number;
  /** The integer beside it, exactly. */
  claimed_amount_exact: string;
  first_trade_at: string | null;
  last_trade_at: string | null;
  claimed_at: string | null;
  /** When the log received the newest entry that changed it. */
  updated_at: string;
  question: string;
  category: "crypto" | "entertainment" | "other" | "politics" | "science" | "sports";
  /** The program's number of the market's state. */
  state: number;
  state_name: "ACTIVE" | "APPROVED" | "CANCELLED" | "DISPUTED" | "FINALIZED" | "PROPOSED" | "RESOLVING";
  /** The same as state. */
  state_code: number;
  outcome: "INVALID" | "NO" | "YES" | null;
  current_price_yes: number | null;
  current_price_no: number | null;
  last_seq: number;
  as_of: AsOf;
}

/** Request a pong. */
export interface Ping {
  action: "ping";
}

/** The platform's sums, the shortest period first. */
export interface Platform {
  periods: PlatformPeriod[];
  as_of: AsOf;
}

/** The sums of the whole platform in a span of time. */
export interface PlatformPeriod {
  period: "24h" | "30d" | "7d" | "all";
  from_at: string | null;
  to_at: string | null;
  trades_count: number;
  /** An integer as text, because it may exceed 2**53. */
  volume: string;
  /** An integer as text, because it may exceed 2**53. */
  buy_volume: string;
  /** An integer as text, because it may exceed 2**53. */
  sell_volume: string;
  traders_count: number;
  new_wallets_count: number;
  markets_created: number;
  markets_finalized: number;
  disputes_count: number;
  ballots_count: number;
  /** An integer as text, because it may exceed 2**53. */
  claims_paid: string;
  /** An integer as text, because it may exceed 2**53. */
  protocol_fees: string;
  /** An integer as text, because it may exceed 2**53. */
  resolver_fees: string;
  /** An integer as text, because it may exceed 2**53. */
  lp_fees: string;
  markets_count: number;
  active_markets_count: number;
  /** An integer as text, because it may exceed 2**53. */
  open_interest_shares: string;
}

/** A wallet's trades and profit on one day in UTC. */
export interface PnlDay {
  day: string;
  trades_count: number;
  /** An integer as text, because it may exceed 2**53. */
  volume: string;
  /** An integer as text, because it may exceed 2**53. */
  invested: string;
  /** An integer as text, because it may exceed 2**53. */
  proceeds: string;
  /** An integer as text, because it may exceed 2**53. */
  claimed: string;
  /** An integer as text, because it may exceed 2**53. */
  realized_pnl: string;
  /** An integer as text, because it may exceed 2**53. */
  cumulative_realized_pnl: string;
  last_seq: number;
}

/** The days with activity, the latest last. */
export interface PnlHistory {
  wallet: string;
  days: PnlDay[];
  limit: number;
  as_of: AsOf;
}

/** The reply to a ping. */
export interface Pong {
  type: "pong";
  timestamp: string;
  data: {
  /** Id of this history of the log; a restore starts a new one. */
  epoch?: string;
  /** Seq of the log entry. */
  seq?: number;
  /** Opaque; send it unchanged as `since`. Compare order by epoch and seq. */
  position?: string;
};
}

/** The reply to a ping of the server. */
export interface PongBack {
  action: "pong";
}

/** The value and profit of a wallet's positions, the latest traded first. */
export interface Portfolio {
  wallet: string;
  totals: PortfolioTotals;
  positions: PortfolioPosition[];
  /** Number of all positions. */
  count: number;
  limit: number;
  offset: number;
  as_of: AsOf;
}

/** A position with its value and profit, in lamports. */
export interface PortfolioPosition {
  market_id: string;
  market_address: string;
  question: string;
  state: "ACTIVE" | "APPROVED" | "CANCELLED" | "DISPUTED" | "FINALIZED" | "PROPOSED" | "RESOLVING";
  outcome: "INVALID" | "NO" | "YES" | null;
  /** An integer as text, because it may exceed 2**53. */
  shares_yes: string;
  /** An integer as text, because it may exceed 2**53. */
  shares_no: string;
  /** Lamports paid for the YES shares still owned, at their average cost. */
  cost_yes: string;
  /** An integer as text, because it may exceed 2**53. */
  cost_no: string;
  /** An integer as text, because it may exceed 2**53. */
  total_invested: string;
  /** An integer as text, because it may exceed 2**53. */
  total_proceeds: string;
  trades_count: number;
  has_claimed: boolean;
  /** An integer as text, because it may exceed 2**53. */
  claimed_amount: string;
  /** The amount that a claim would pay now. */
  claimable: string;
  /** The creator withdrew the pool; winning claims pay nothing. */
  is_pool_withdrawn: boolean;
  /** Shares at the current price; the claimable amount once final. */
  current_value: string;
  /** An integer as text, because it may exceed 2**53. */
  realized_pnl: string;
  /** An integer as text, because it may exceed 2**53. */
  unrealized_pnl: string;
  /** Sum of realized_pnl and unrealized_pnl. */
  profit: string;
  first_trade_at: string | null;
  last_trade_at: string | null;
  last_seq: number;
}

/** Sums over all positions of the wallet, in lamports. */
export interface PortfolioTotals {
  /** An integer as text, because it may exceed 2**53. */
  total_invested: string;
  /** An integer as text, because it may exceed 2**53. */
  total_proceeds: string;
  /** An integer as text, because it may exceed 2**53. */
  claimed_amount: string;
  /** An integer as text, because it may exceed 2**53. */
  claimable: string;
  /** An integer as text, because it may exceed 2**53. */
  current_value: string;
  /** An integer as text, because it may exceed 2**53. */
  realized_pnl: string;
  /** An integer as text, because it may exceed 2**53. */
  unrealized_pnl: string;
  /** An integer as text, because it may exceed 2**53. */
  profit: string;
}

/** The positions of several wallets in the order of the request, all read at one position of the log. */
export interface PositionBatch {
  wallets: PositionsOfWallet[];
  limit: number;
  as_of: AsOf;
}

/** Wallets whose positions are read; wallets times `limit` is at most 10,000. */
export interface PositionBatchRequest {
  /** Addresses in base58, each one once. */
  wallets: string[];
  /** Only positions in this market: its id or address. */
  market?: string | null;
  /** Most positions of each wallet. */
  limit?: number;
}

/** The shares of a wallet in a market. */
export interface PositionState {
  market_id: string;
  user_wallet: string;
  /** Nine decimals. */
  shares_yes: number;
  /** The integer beside it, exactly. */
  shares_yes_exact: string;
  /** Nine decimals. */
  shares_no: number;
  /** The integer beside it, exactly. */
  shares_no_exact: string;
  /** Lamports. */
  total_invested: number;
  /** The integer beside it, exactly. */
  total_invested_exact: string;
  /** Lamports. */
  total_proceeds: number;
  /** The integer beside it, exactly. */
  total_proceeds_exact: string;
  trades_count: number;
  has_claimed: boolean;
  /** Lamports. */
  claimed_amount: number;
  /** The integer beside it, exactly. */
  claimed_amount_exact: string;
  /** The newest log entry that this state reflects. */
  last_seq: number;
}

/** The shares of a wallet in a market. */
export interface PositionUpdateMessage {
  type: "position_update";
  market_id: string | null;
  timestamp: string;
  data: PositionState;
}

/** The positions of one wallet, the latest traded first. */
export interface PositionsOfWallet {
  wallet: string;
  positions: PortfolioPosition[];
}

/** What becomes of a post. An erased text cannot be restored; `dismiss` takes the post off the queue. */
export interface PostDecision {
  action: "dismiss" | "erase" | "hide" | "restore";
  /** Public. */
  reason: string;
}

/** The reason for a report of a post. */
export interface PostReport {
  reason: string;
}

/** The result of the request, and the post's current state. */
export interface PostResult {
  message: string;
  discussion: Discussion;
}

/** The current prices of a market's shares. */
export interface PriceChanged {
  market_id: string;
  priceYes: number | null;
  priceNo: number | null;
  /** Nine decimals. */
  totalShares: number;
  price_yes: number | null;
  /** The integer beside it, exactly. */
  shares_yes_exact: string;
  /** The integer beside it, exactly. */
  shares_no_exact: string;
  /** The newest log entry that this state reflects. */
  last_seq: number;
}

/** Even odds at the market's creation, then its newest trades, the latest last. */
export interface PriceHistory {
  market_id: string;
  price_history: PricePoint[];
  /** Number of points: the first one and up to `limit` trades. */
  count: number;
  as_of: AsOf;
}

/** A market's price at an instant, for a chart. */
export interface PricePoint {
  timestamp: string;
  /** Percent, limited to 1 to 99. */
  yes: number;
  /** 100 minus yes. */
  no: number;
}

/** The current prices of a market's shares. */
export interface PriceUpdateMessage {
  type: "price_update";
  market_id: string | null;
  timestamp: string;
  data: PriceChanged;
}

/** RFC 9457 problem details, with the members that older clients read. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  instance: string;
  /** Stable; compare this in programs. */
  code: string;
  error: string;
  message: string;
  timestamp: string;
  path: string;
  details?: FieldProblem[];
  /** false, on paths of the earlier vote aggregator, with a sentence in error. */
  success?: boolean;
}

/** What a wallet says about itself. Show it as text, and the wallet beside it: anyone may choose any name. */
export interface Profile {
  wallet: string;
  display_name: string | null;
  bio: string | null;
  updated_at: string | null;
  /** Whether a moderator has banned it from writing. */
  is_banned: boolean;
  as_of: AsOf;
}

/** A wallet's profile as it is now. */
export interface ProfileEvent {
  user_wallet: string;
  display_name: string | null;
  bio: string | null;
  /** Seq of the log entry of this message. */
  seq: number;
}

/** A wallet's profile as it is now. */
export interface ProfileMessage {
  type: "profile";
  market_id: string | null;
  timestamp: string;
  data: ProfileEvent;
}

/** A ballot on a proposal. */
export interface ProposalBallot {
  /** An ed25519 signature of 64 bytes, in base58 (or base64). */
  signature: string;
  /** A wallet's address in base58. */
  publicKey: string;
  /** The text of GET /api/votes/message; this or signed_message. */
  message?: string;
  /** The signed bytes in base64, as signIn and signMessage return them; also an off-chain envelope. */
  signed_message?: string;
  vote: "dislike" | "like";
}

/** A proposal's tally, in the format of the earlier vote aggregator. */
export interface ProposalCounts {
  success: true;
  marketId: string;
  counts: ProposalTally;
  as_of: AsOf;
}

/** A proposal's tally. */
export interface ProposalTally {
  likes: number;
  dislikes: number;
  total: number;
}

/** A proposal's tally, by the names that earlier tests read. */
export interface ProposalVotes {
  likes: number;
  dislikes: number;
}

/** A market that its transaction will create. */
export interface ProposedMarket {
  id: string;
  on_chain_address: string;
  question: string;
  description: string | null;
  category: "crypto" | "entertainment" | "other" | "politics" | "science" | "sports";
  tags: string[];
  state: "PROPOSED";
  creator_wallet: string;
  b_parameter: number;
  /** The integer beside it, exactly. */
  b_parameter_exact: string;
  initial_liquidity: number;
  /** The integer beside it, exactly. */
  initial_liquidity_exact: string;
  end_date: string;
  /** The content id of metadata_document. */
  ipfs_question_hash: string;
  /** Whether b_parameter reaches the 100 SOL that trading requires. */
  is_tradable: boolean;
}

/** The result of the trade at the current state, to the lamport. */
export interface ProposedTrade {
  market_id: string;
  on_chain_address: string;
  user_wallet: string;
  trade_type: "buy" | "sell";
  outcome: "NO" | "YES";
  /** true for YES. */
  outcome_bool: boolean;
  shares: number;
  /** The integer beside it, exactly. */
  shares_exact: string;
  /** Lamports paid or received, fees included. */
  cost: number;
  /** The integer beside it, exactly. */
  cost_exact: string;
  /** The argument of the instruction: target_cost or min_proceeds, in lamports. */
  limit_exact: string;
  /** An integer as text, because it may exceed 2**53. */
  protocol_fee_exact: string;
  /** An integer as text, because it may exceed 2**53. */
  resolver_fee_exact: string;
  /** An integer as text, because it may exceed 2**53. */
  lp_fee_exact: string;
  /** Nine decimals. */
  new_price_yes_exact: string;
  /** The slot of the market state that the numbers are based on. */
  slot: number;
}

/** The program's current configuration. */
export interface Protocol {
  protocol_fee_bps: number;
  resolver_reward_bps: number;
  liquidity_provider_fee_bps: number;
  /** Basis points of likes that approve a proposal. */
  proposal_approval_threshold: number;
  /** Basis points of agrees that uphold a dispute. */
  dispute_success_threshold: number;
  /** Seconds; the program stores it and never enforces it. */
  min_resolution_delay: string;
  /** Seconds in which a proposed outcome can be disputed. */
  dispute_period: string;
  is_paused: boolean;
  admin: string | null;
  backend_authority: string | null;
  set_by: ConfigSources;
  as_of: AsOf;
}

/** A trade's result if no other trade comes first. Amounts are lamports, shares and prices have nine decimals. */
export interface Quote {
  market_id: string;
  side: "buy" | "sell";
  outcome: "NO" | "YES";
  /** False when the program would reject the trade; `refusal` has the reason. */
  is_possible: boolean;
  refusal: Refusal | null;
  /** Purchases only: the highest amount to pay, fees included. */
  target_cost: string | null;
  /** Shares bought or sold. */
  shares: string | null;
  /** Cost or proceeds of the shares before fees. */
  before_fees: string | null;
  protocol_fee: string | null;
  resolver_fee: string | null;
  lp_fee: string | null;
  /** The amount that the buyer pays or the seller receives. */
  total: string | null;
  /** total for one whole share. */
  average_price: string | null;
  /** Of one share of the outcome; null if there is none. */
  price_before: string | null;
  price_after: string | null;
  /** Change of the price, relative to the price before. */
  impact_bps: number | null;
  /** The smallest target_cost, or number of shares, that works now; null if none does. */
  smallest: string | null;
  warnings: Caution[];
  as_of: AsOf;
}

/** The results in the order of the request, all from one state of the market. */
export interface QuoteBatch {
  quotes: Quote[];
  as_of: AsOf;
}

/** Trades to calculate independently of one another, each against the market as it is now. */
export interface QuoteBatchRequest {
  quotes: QuoteRequest[];
}

/** One trade to calculate: a purchase has `target_cost`, a sale has `shares`, and never both. */
export interface QuoteRequest {
  outcome: "NO" | "YES";
  /** For a purchase: the most you pay in lamports, fees included. */
  target_cost?: string | null;
  /** For a sale: shares, in billionths. */
  shares?: string | null;
}

/** A wallet with its rank. */
export interface RankedWallet {
  /** Equal values share a rank. */
  rank: number;
  user_wallet: string;
  /** Realized within the period. */
  profit: string;
  /** An integer as text, because it may exceed 2**53. */
  volume: string;
  trades_count: number;
  markets_count: number;
  /** Positions decided YES or NO within the period. */
  decided_count: number;
  /** Those with a profit. */
  won_count: number;
  /** won_count divided by decided_count. */
  win_rate_bps: number | null;
  last_seq: number;
}

/** A reaction to a post; null removes an earlier one. */
export interface Reaction {
  vote: "down" | "up" | null;
}

/** Whether requests can be answered, and the reasons if not. */
export interface Readiness {
  status: "ready" | "unready";
  service: string;
  /** Reasons why the process is not ready. */
  reasons: string[];
  /** Problems that do not prevent readiness. */
  warnings: string[];
  epoch: string | null;
  seq: number | null;
  position: string | null;
  /** Open streams of this process. */
  streams: number;
}

/** A recorded ballot. */
export interface RecordedBallot {
  success: true;
  /** PV- or DV- and the seq of the ballot's log entry. */
  voteId: string;
  marketId: string;
  vote: "agree" | "disagree" | "dislike" | "like";
  timestamp: string;
}

/** A refresh token to exchange or revoke. */
export interface RefreshToken {
  refresh_token: string;
}

/** The error with which the program would refuse. */
export interface Refusal {
  name: string;
  /** The program's error number, from 6000. */
  code: number;
  message: string;
}

/** A market that is similar to another one. */
export interface RelatedMarket {
  id: string;
  question: string;
  yesPrice: number | null;
  /** With a capital letter. */
  category: string;
  /** The same category as the market in the request. */
  categoryMatch: boolean;
}

/** Other ACTIVE markets, those of the same category first; empty if the market is not known. */
export interface RelatedMarkets {
  related: RelatedMarket[];
  count: number;
  as_of: AsOf;
}

/** A relayed transaction. */
export interface RelayedTransaction {
  message: string;
  signature: string;
  /** processed: it is in a block that may still be skipped; with an error, this is provisional, so wait. failed: it landed, cost its fee and changed nothing else; its block is final. expired: it never landed or never ran, and never will, so it cost nothing; prepare it again. */
  status: "confirmed" | "expired" | "failed" | "finalized" | "processed" | "sent";
  slot: number | null;
  error: string | null;
  /** The same signature, under the name that older clients read. */
  transaction: string;
  explorer: string;
}

/** A thread's replies, the oldest first. */
export interface Replies {
  replies: Discussion[];
  count: number;
  limit: number;
  next_cursor: string | null;
  as_of: AsOf;
}

/** A post with reports that no decision has followed yet. */
export interface ReportedPost {
  id: string;
  market_id: string | null;
  user_wallet: string;
  /** Its text, also if it is hidden or deleted. */
  content: string;
  is_hidden: boolean;
  is_deleted: boolean;
  is_author_banned: boolean;
  created_at: string;
  /** Wallets that reported it since the last decision. */
  flags: number;
  /** The newest ten. */
  reasons: string[];
  last_flag_at: string;
}

/** A proposed outcome and its evidence. */
export interface ResolveMarket {
  outcome: "NO" | "YES" | boolean | null;
  /** A CIDv0, exactly 46 characters. */
  ipfs_evidence_hash: string;
}

/** Your position is not in this log: read the state again, then continue from this position. */
export interface Resync {
  type: "resync";
  timestamp: string;
  data: {
  reason: "foreign_epoch" | "future_position" | "mark_mismatch";
  /** Id of this history of the log; a restore starts a new one. */
  epoch: string;
  /** Seq of the log entry. */
  seq: number;
  /** Opaque; send it unchanged as `since`. Compare order by epoch and seq. */
  position: string;
};
}

/** Your position is not in this log. */
export interface ResyncEvent {
  reason: "foreign_epoch" | "future_position" | "mark_mismatch";
  /** Id of this history of the log; a restore starts a new one. */
  epoch: string;
  /** Seq of the log entry. */
  seq: number;
  /** Opaque; send it unchanged as `since`. Compare order by epoch and seq. */
  position: string;
}

/** An event that the chain dropped, or whose place on the chain differs from the one that was sent. */
export interface RetractedMessage {
  type: "retracted";
  market_id: string | null;
  timestamp: string;
  data: EventRetracted;
}

/** The key is revoked. */
export interface RevokedApiKey {
  id: string;
  revoked_at: string;
}

/** A mart that Dagster computes every few minutes. */
export interface ScheduledMart {
  name: string;
  /** The newest log entry that its rows reflect. */
  applied_seq: number;
  refreshed_at: string;
  /** The log advanced more than 15 minutes ago, and it was not computed. */
  is_overdue: boolean;
}

/** A sale of `shares` for at least `min_proceeds`. */
export interface SellShares {
  /** A market's 64 hexadecimal digits, or the address of its account. */
  market_id: string;
  /** YES or NO; true and false, which earlier clients send, mean the same. */
  outcome: "NO" | "YES" | boolean;
  /** Nine decimals; at least 1000000. */
  shares: number | string;
  /** The least you receive in lamports, after fees. */
  min_proceeds?: number | string;
}

/** A wallet that is signed in, with its tokens. */
export interface Session {
  /** A wallet's address in base58. */
  wallet: string;
  /** For Authorization: Bearer. */
  access_token: string;
  /** Always Bearer. */
  token_type: string;
  /** Seconds until the access token expires. */
  expires_in: number;
  /** Valid once, for the next pair of tokens. */
  refresh_token: string;
  refresh_expires_at: string;
}

/** Ballots of one source. */
export interface SideCount {
  likes: number;
  dislikes: number;
}

/** The session is closed. */
export interface SignOutResult {
  message: string;
}

/** The result of a wallet's signing: the signed text, as text or as bytes, and the signature. */
export interface SignedMessage {
  /** A wallet's address in base58. */
  wallet: string;
  /** An ed25519 signature of 64 bytes, in base58 (or base64). */
  signature: string;
  /** The signed text; send this or signed_message. */
  message?: string;
  /** The signed bytes in base64, as signIn and signMessage return them; also an off-chain envelope. */
  signed_message?: string;
}

/** A signed transaction to relay. */
export interface SignedTransaction {
  /** base64 of the signed bytes: at most 1,232 of them, and 4,096 of a version-1 transaction. */
  transaction: string;
  last_valid_block_height?: number | null;
}

/** The result of the simulation. */
export interface Simulation {
  /** The chain's slot at which it succeeded. */
  slot: number;
  /** Compute units. */
  units_consumed: number;
}

/** Rows as objects; integers of any size are exact in the JSON text. */
export interface SqlAnswer {
  columns: SqlColumn[];
  rows: Record<string, unknown>[];
  count: number;
  /** True if there are more rows than shown. */
  is_cut: boolean;
  took_ms: number;
  as_of: AsOf;
}

/** A column of the result. */
export interface SqlColumn {
  name: string;
  /** As Postgres names it. */
  type: string;
}

/** The SQL console's status, example queries, allowed functions and limits. */
export interface SqlConsole {
  /** Whether this server accepts SQL. */
  is_on: boolean;
  named: NamedQuery[];
  /** Functions that may be called. */
  functions: string[];
  seconds: number;
  most_rows: number;
}

/** One SELECT over the schema marts, or the name of an example query. */
export interface SqlQuery {
  query?: string | null;
  name?: string | null;
  /** Maximum number of rows. */
  limit?: number;
  format?: "csv" | "json";
}

/** The status of the log and its marts. */
export interface Status {
  epoch: string;
  seq: number;
  /** Opaque; send it unchanged as `since`. Compare order by epoch and seq. */
  position: string;
  slot: number | null;
  commitment: "confirmed" | "finalized";
  /** Slot; null when nothing is proven. */
  verified_through: number | null;
  finalized_through: number | null;
  completeness: Completeness;
  /** Accepted gaps that are not filled yet. */
  gaps: AcceptedGap[];
  lag: Lag;
  models: ModelStatus[];
  scheduled_marts: ScheduledMart[];
  keepers: KeeperStatus[];
  /** Deliveries that could not be used and were stored. */
  dead_letters: number;
  /** Known transactions that are not fetched yet. */
  wanted: number;
  alerts: AlertKind[];
  as_of: AsOf;
}

/** A change of finality or a mart that became stale; the first message is a snapshot. */
export interface StatusEvent {
  kind: "finalized_through" | "mart_stale" | "snapshot";
  /** Slot; null when unknown, and for other kinds. */
  finalized_through: number | null;
  /** Seq of the log entry; a snapshot has none. */
  seq?: number;
  /** Marts that stopped following the log; in a snapshot only. */
  stale?: string[];
}

/** A change of finality or a mart that became stale; the first message is a snapshot. */
export interface StatusMessage {
  type: "status";
  market_id: string | null;
  timestamp: string;
  data: StatusEvent;
}

/** Subscribe to topics. `since` is a `position` from which these topics resume. Each subscription has its own. */
export interface Subscribe {
  action: "subscribe";
  topics?: string[];
  market_id?: string;
  since?: string;
  token?: string;
  ticket?: string;
}

/** These topics are subscribed from `seq` on; messages with the current state follow. */
export interface Subscribed {
  type: "subscribed";
  timestamp: string;
  topics: string[];
  /** Id of this history of the log; a restore starts a new one. */
  epoch: string;
  /** Seq of the log entry. */
  seq: number;
  /** Opaque; send it unchanged as `since`. Compare order by epoch and seq. */
  position: string;
  messages: (TradeMessage | TradeExecutedMessage | VoteMessage | MarketEventMessage | RetractedMessage | MovedMessage | DiscussionMessage | ModerationMessage | ProfileMessage | MarketMetadataMessage | MarketPageMessage | EventGroupMessage | StatusMessage | MarketStateMessage | MarketUpdateMessage | PriceUpdateMessage | VoteTallyMessage | PositionUpdateMessage)[];
}

/** A post that started a thread, with its first replies as a flat list in the order of their creation. */
export interface Thread {
  id: string;
  market_id: string;
  marketId: string;
  user_wallet: string;
  author: string;
  /** Empty after deletion. */
  content: string;
  /** The post that this one replies to. */
  parent_id: string | null;
  parentId: string | null;
  upvotes: number;
  downvotes: number;
  /** Number of wallets that reported it. */
  flags: number;
  isFlagged: boolean;
  /** Number of edits. */
  edits: number;
  created_at: string;
  createdAt: string;
  edited_at: string | null;
  deleted_at: string | null;
  last_seq: number;
  /** Replies at any depth that are not deleted. */
  replies_count: number;
  replies: Discussion[];
}

/** A market's threads, the newest first. */
export interface Threads {
  discussions: Thread[];
  /** Number of threads on this page. */
  count: number;
  limit: number;
  offset: number;
  next_cursor: string | null;
  market_id: string;
  as_of: AsOf;
}

/** A ticket that opens one stream. */
export interface Ticket {
  /** Add it to the URL of one stream: ?ticket=... */
  ticket: string;
  /** Seconds. */
  expires_in: number;
}

/** One purchase or sale of shares. */
export interface Trade {
  /** tx_signature:ordinal. */
  id: string;
  market_id: string;
  marketId: string;
  /** The market's account. */
  market_pubkey: string;
  user_wallet: string;
  trader: string;
  trader_pubkey: string;
  trade_type: "buy" | "sell";
  outcome: "NO" | "YES";
  /** True for YES. */
  outcome_bool: boolean;
  shares: number;
  /** The integer beside it, exactly. */
  shares_exact: string;
  /** Lamports: paid with fees, or received after fees. */
  cost: number;
  /** The integer beside it, exactly. */
  cost_exact: string;
  /** The cost before fees. */
  gross_lamports: string;
  protocol_fee_lamports: string;
  resolver_fee_lamports: string;
  lp_fee_lamports: string;
  /** False for a sale whose fees the amounts on chain do not determine to the lamport. */
  are_fees_exact: boolean;
  /** Price of YES after the trade. */
  price_after: number;
  /** Price of the traded outcome after the trade. */
  price: number;
  /** price_after in billionths. */
  new_price_yes: number;
  tx_signature: string;
  ordinal: number;
  slot: number;
  seq: number;
  block_time: string;
  created_at: string;
  timestamp: string;
}

/** A purchase or a sale. */
export interface TradeEvent {
  /** tx_signature:ordinal. */
  id: string;
  tradeId: string;
  market_id: string;
  marketId: string;
  trade_type: "buy" | "sell";
  outcome: "NO" | "YES";
  /** true for YES. */
  outcome_bool: boolean;
  /** Nine decimals. */
  shares: number;
  /** The integer beside it, exactly. */
  shares_exact: string;
  /** Lamports: paid with fees, or received after fees. */
  cost: number;
  /** The integer beside it, exactly. */
  cost_exact: string;
  user_wallet: string;
  trader: string;
  /** Of the traded outcome, right after the trade. */
  price: number;
  /** Of YES, right after the trade. */
  price_after: number;
  /** Nine decimals. */
  new_price_yes: number;
  tx_signature: string;
  ordinal: number;
  /** The slot of its transaction. */
  slot: number;
  /** Seq of the log entry of this message. */
  seq: number;
  created_at: string;
  block_time: string;
}

/** A purchase or a sale. */
export interface TradeExecutedMessage {
  type: "trade_executed";
  market_id: string | null;
  timestamp: string;
  data: TradeEvent;
}

/** A purchase or a sale. */
export interface TradeMessage {
  type: "trade";
  market_id: string | null;
  timestamp: string;
  data: TradeEvent;
}

/** Trades, the latest on chain first. */
export interface TradePage {
  trades: Trade[];
  /** Number of rows on this page. */
  count: number;
  limit: number;
  offset: number;
  next_cursor: string | null;
  as_of: AsOf;
}

/** The sums of trades, in lamports. */
export interface TradingStats {
  total_volume: number;
  /** The integer beside it, exactly. */
  total_volume_exact: string;
  total_trades: number;
  unique_traders: number;
  /** Paid by buyers, fees included. */
  buy_volume: number;
  /** The integer beside it, exactly. */
  buy_volume_exact: string;
  /** Paid out for sales, before fees. */
  sell_volume: number;
  /** The integer beside it, exactly. */
  sell_volume_exact: string;
}

/** An event of the transaction, from the log. */
export interface TransactionEvent {
  seq: number;
  name: string;
  market_id: string | null;
}

/** How far a transaction has progressed. */
export interface TransactionStatus {
  signature: string;
  /** processed: it is in a block that may still be skipped; with an error, this is provisional, so wait. failed: it landed, cost its fee and changed nothing else; its block is final. expired: it never landed or never ran, and never will, so it cost nothing; prepare it again. retracted: the chain dropped the block that contained it. */
  status: "confirmed" | "expired" | "failed" | "finalized" | "processed" | "retracted";
  slot: number | null;
  error: string | null;
  /** The source of the status: the log, or the chain where the log does not decide it. */
  source: "chain" | "log";
  events: TransactionEvent[];
  explorer: string;
}

/** A trending market. */
export interface TrendingMarket {
  id: string;
  question: string;
  yesPrice: number | null;
  /** Percentage points of YES gained in the last day. */
  change24h: number;
  /** SOL traded in the last day; for display. */
  volume24h: number;
  /** The same in lamports. */
  volume_24h_exact: string;
  /** Wallets that traded in the last day. */
  uniqueTraders: number;
  /** 0.6 of volume24h and 0.4 of uniqueTraders. */
  trendingScore: number;
}

/** The most traded ACTIVE markets of the day up to the newest event. */
export interface TrendingMarkets {
  trending: TrendingMarket[];
  count: number;
  as_of: AsOf;
}

/** A market's creation to sign. */
export interface UnsignedMarket {
  message: string;
  /** base64; versioned, with zeros for its signatures. */
  unsigned_transaction: string;
  /** The wallets that must sign, the payer first. */
  signers: string[];
  blockhash: string;
  /** The block height after which it can no longer land. */
  last_valid_block_height: number;
  /** About how long that is, by the measured slot length: some 30 s where a slot takes 0.2 s. Prepare it again when 20 s of it are gone before the wallet is asked. */
  expires_in_seconds: number;
  /** The fee in lamports, without the amounts that the instruction moves. */
  fee_lamports: string;
  simulation: Simulation;
  /** Its signature, once you have signed it; null here. */
  transaction?: null;
  /** null until it is sent. */
  explorer?: null;
  market: ProposedMarket;
  /** The bytes whose content id is anchored; store or pin them. */
  metadata_document: string;
}

/** A step of a market's life to sign. */
export interface UnsignedOnMarket {
  message: string;
  /** base64; versioned, with zeros for its signatures. */
  unsigned_transaction: string;
  /** The wallets that must sign, the payer first. */
  signers: string[];
  blockhash: string;
  /** The block height after which it can no longer land. */
  last_valid_block_height: number;
  /** About how long that is, by the measured slot length: some 30 s where a slot takes 0.2 s. Prepare it again when 20 s of it are gone before the wallet is asked. */
  expires_in_seconds: number;
  /** The fee in lamports, without the amounts that the instruction moves. */
  fee_lamports: string;
  simulation: Simulation;
  /** Its signature, once you have signed it; null here. */
  transaction?: null;
  /** null until it is sent. */
  explorer?: null;
  /** The market as in GET /api/markets/{id}; null until the log contains it. */
  market: Market | null;
}

/** A trade to sign. */
export interface UnsignedTrade {
  message: string;
  /** base64; versioned, with zeros for its signatures. */
  unsigned_transaction: string;
  /** The wallets that must sign, the payer first. */
  signers: string[];
  blockhash: string;
  /** The block height after which it can no longer land. */
  last_valid_block_height: number;
  /** About how long that is, by the measured slot length: some 30 s where a slot takes 0.2 s. Prepare it again when 20 s of it are gone before the wallet is asked. */
  expires_in_seconds: number;
  /** The fee in lamports, without the amounts that the instruction moves. */
  fee_lamports: string;
  simulation: Simulation;
  /** Its signature, once you have signed it; null here. */
  transaction?: null;
  /** null until it is sent. */
  explorer?: null;
  trade: ProposedTrade;
}

/** Unsubscribe from topics. */
export interface Unsubscribe {
  action: "unsubscribe";
  topics?: string[];
  market_id?: string;
}

/** The topics that remain subscribed. */
export interface Unsubscribed {
  type: "unsubscribed";
  timestamp: string;
  data: {
  topics: string[];
};
  market_id?: string;
}

/** A wallet's shares in a market, their value and their profit. */
export interface UserPosition {
  market_id: string;
  marketId: string;
  market_address: string;
  market_pubkey: string;
  user_wallet: string;
  user_pubkey: string;
  userId: string;
  shares_yes: number;
  /** The integer beside it, exactly. */
  shares_yes_exact: string;
  sharesYes: number;
  shares_no: number;
  /** The integer beside it, exactly. */
  shares_no_exact: string;
  sharesNo: number;
  /** Lamports paid, fees included. */
  total_invested: number;
  /** The integer beside it, exactly. */
  total_invested_exact: string;
  invested: number;
  totalCost: number;
  total_proceeds: number;
  /** The integer beside it, exactly. */
  total_proceeds_exact: string;
  /** Lamports: shares at the current price; the claimable amount once final. */
  current_value: number;
  /** The integer beside it, exactly. */
  current_value_exact: string;
  claimable_amount: number;
  /** The integer beside it, exactly. */
  claimable_amount_exact: string;
  /** Lamports; profit is this plus realized_pnl. */
  unrealized_pnl: number;
  unrealizedPnL: number;
  /** The integer beside it, exactly. */
  unrealized_pnl_exact: string;
  /** Lamports. */
  realized_pnl: number;
  realizedPnL: number;
  /** The integer beside it, exactly. */
  realized_pnl_exact: string;
  trades_count: number;
  has_claimed: boolean;
  claimed_amount: number;
  /** The integer beside it, exactly. */
  claimed_amount_exact: string;
  first_trade_at: string | null;
  last_trade_at: string | null;
  claimed_at: string | null;
  /** When the log received the newest entry that changed it. */
  updated_at: string;
  question: string;
  category: "crypto" | "entertainment" | "other" | "politics" | "science" | "sports";
  /** The program's number of the market's state. */
  state: number;
  state_name: "ACTIVE" | "APPROVED" | "CANCELLED" | "DISPUTED" | "FINALIZED" | "PROPOSED" | "RESOLVING";
  /** The same as state. */
  state_code: number;
  outcome: "INVALID" | "NO" | "YES" | null;
  current_price_yes: number | null;
  current_price_no: number | null;
  last_seq: number;
}

/** One ballot. */
export interface Vote {
  id: string;
  market_id: string;
  user_wallet: string;
  vote_type: "dispute" | "proposal";
  /** proposal: like; dispute: agree with the dispute. */
  vote: boolean;
  voted_at: string;
  created_at: string;
  source: "api" | "chain";
  tx_signature: string | null;
  last_seq: number;
}

/** A market's tallies. */
export interface VoteCounts {
  market_id: string;
  counts: VoteTallies;
  proposal_votes: ProposalVotes;
  dispute_votes: DisputeVotes;
  as_of: AsOf;
}

/** A ballot, cast on chain or in the API. */
export interface VoteEvent {
  vote_type: "dispute" | "proposal";
  vote: boolean;
  market_id: string;
  user_wallet: string;
  voted_at: string;
  created_at: string;
  source: "api" | "chain";
  tx_signature: string | null;
  /** Seq of the log entry of this message. */
  seq: number;
}

/** A ballot, cast on chain or in the API. */
export interface VoteMessage {
  type: "vote";
  market_id: string | null;
  timestamp: string;
  data: VoteEvent;
}

/** A vote on a dispute. */
export interface VoteOnDispute {
  /** true agrees with the dispute. */
  supportDispute: boolean;
}

/** A vote on a proposal. */
export interface VoteOnProposal {
  /** true likes it. */
  approve: boolean;
}

/** The tally: each wallet once, in total and by the source of the ballot. */
export interface VoteStats {
  likes: number;
  dislikes: number;
  total: number;
  /** Percent with two digits, such as "75.00". */
  approval_rate: string;
  on_chain: SideCount;
  off_chain_known: SideCount;
  off_chain_unseen: SideCount;
  voting_closes_at: string | null;
}

/** Tallies by kind. */
export interface VoteTallies {
  proposal: VoteTally;
  dispute: VoteTally;
}

/** A tally: each wallet once. */
export interface VoteTally {
  /** Likes of a proposal, or ballots for a dispute. */
  agree: number;
  disagree: number;
  total: number;
}

/** The number of ballots of one kind in a market. */
export interface VoteTallyMessage {
  type: "vote_tally";
  market_id: string | null;
  timestamp: string;
  data: VoteTallyState;
}

/** The number of ballots of one kind in a market. */
export interface VoteTallyState {
  market_id: string;
  vote_type: "dispute" | "proposal";
  likes: number;
  dislikes: number;
  total: number;
  last_seq: number | null;
}

/** A wallet's counts; zeros for an unknown wallet. */
export interface Wallet {
  wallet: string;
  stats: WalletCounts;
  as_of: AsOf;
}

/** The events of one wallet. */
export interface WalletActivity {
  activity: Activity[];
  /** Number of rows on this page. */
  count: number;
  limit: number;
  next_cursor: string | null;
  as_of: AsOf;
  wallet: string;
}

/** The number of a wallet's trades, votes and posts. */
export interface WalletCounts {
  total_trades: number;
  total_votes: number;
  proposal_votes: number;
  dispute_votes: number;
  /** Posts that are not deleted. */
  discussions: number;
}

/** Whether a wallet may write through the API, or has its profile cleared. Positions, trades and ballots stay. */
export interface WalletDecision {
  /** clear: remove the texts of its profile. */
  action: "ban" | "clear" | "unban";
  /** Public. */
  reason: string;
}

/** The sums of a wallet's trading. */
export interface WalletStats {
  wallet: string;
  totalTrades: number;
  /** Lamports paid with fees and received after fees. */
  totalVolume: number;
  /** The integer beside it, exactly. */
  total_volume_exact: string;
  /** Share of positions decided YES or NO that made a profit, 0 to 1. */
  winRate: number;
  /** Lamports, realized and unrealized. */
  totalPnL: number;
  /** The integer beside it, exactly. */
  total_pnl_exact: string;
  activePositions: number;
  settledPositions: number;
  as_of: AsOf;
}

/** Trades of one wallet. */
export interface WalletTradePage {
  trades: Trade[];
  /** Number of rows on this page. */
  count: number;
  limit: number;
  offset: number;
  next_cursor: string | null;
  as_of: AsOf;
  wallet: string;
}

/** A wallet's ballots, the latest first. */
export interface WalletVotes {
  proposal_votes: Vote[];
  dispute_votes: Vote[];
  /** Number of all ballots of the requested kinds. */
  total: number;
  limit: number;
  offset: number;
  wallet: string;
  as_of: AsOf;
}

/** The connection is open. */
export interface Welcome {
  type: "welcome";
  timestamp: string;
  data: {
  client_id: string;
  message: string;
  /** Id of this history of the log; a restore starts a new one. */
  epoch?: string;
  /** Seq of the log entry. */
  seq?: number;
  /** Opaque; send it unchanged as `since`. Compare order by epoch and seq. */
  position?: string;
};
}
