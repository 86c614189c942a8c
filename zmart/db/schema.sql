-- Defines the current schema: schemas, tables, constraints, indexes, views and grants.
--
-- `zmart migrate` applies this file to a new database, and the numbered files of zmart/db/migrations to an older one. A
-- test compares the two results. Functions are in zmart/db/functions, policies in zmart/db/policies.sql. dbt creates the
-- marts and their functions (sql_models).
--
-- One process at a time holds raw.writer. It takes max(seq) + 1, appends, folds, notifies and commits. Therefore
-- raw.feed.seq has no gap, its order is the order of commits, and a reader that has read n needs only `seq > n`.

-- Postgres grants EXECUTE on a new function to everyone. Here each function's file grants it to single roles instead.
alter default privileges revoke execute on functions from public;

create schema raw;
comment on schema raw is 'The append-only log. The marts can be rebuilt from it.';
grant usage on schema raw to zmart_ingest, zmart_keeper, zmart_api, analyst;

create schema log;
comment on schema log is 'The log for analysts and checks. Tables in raw may change; these views do not.';
grant usage on schema log to zmart_ingest, zmart_keeper, zmart_api, analyst;

create schema ops;
comment on schema ops is 'State of the system itself: models, intents, alerts, leases, settings.';
grant usage on schema ops to zmart_ingest, zmart_keeper, zmart_api, analyst;

create schema app;
comment on schema app is
'Data that users store through the API and not on chain: profiles, metadata, ballots, comments, sessions.';
grant usage on schema app to zmart_api;

create schema folds;
comment on schema folds is
'Functions that merge a window of the log into the folded marts, and the functions that generate them.';
grant usage on schema folds to zmart_ingest;

create schema marts;
comment on schema marts is
'The tables and views that clients read: markets, trades, positions, ballots and the marts computed from them.';
grant usage on schema marts to zmart_ingest, zmart_keeper, zmart_api, analyst;
alter default privileges in schema marts grant select on tables to zmart_ingest, zmart_keeper, zmart_api, analyst;

create schema lmsr;
comment on schema lmsr is
'The program''s market maker with bit-identical results: exp, ln, cost, price_yes, proceeds (protocol.md 2).';
grant usage on schema lmsr to zmart_ingest, zmart_keeper, zmart_api, analyst;

-- Dagster creates and migrates its own tables. Its processes log in as zmart_keeper, and Dagster writes only here.
create schema dagster;
comment on schema dagster is 'Dagster''s own storage. Its tables belong to Dagster.';
grant usage, create on schema dagster to zmart_keeper;

-- ---- schema raw -------------------------------------------------------------------------------------------------

create table raw.writer (
    held boolean primary key
);
comment on table raw.writer is 'Is always empty. Its lock is the right to append to the log.';
grant select, insert, update on raw.writer to zmart_ingest;

create table raw.identity (
    only_row boolean default true primary key check (only_row),
    epoch uuid not null default gen_random_uuid(),
    system_identifier bigint not null,
    timeline int not null,
    database_oid oid not null,
    genesis_hash text collate "C",
    program_id text collate "C",
    began_at timestamptz not null default clock_timestamp(),
    feed_oid oid,
    suspected_at timestamptz,
    unsealed_through bigint
);
comment on table raw.identity is
'Identifies this log. A restored or reset database gets another epoch, in which positions of the old one are invalid.';
comment on column raw.identity.feed_oid is 'The oid of the table raw.feed. A restored table has another oid.';
comment on column raw.identity.suspected_at is
'When a process first found this server promoted, and did not know whether the log is complete. Null when that is decided.';
comment on column raw.identity.unsealed_through is
'The last entry that may be without a chain: history of an earlier release, which `zmart migrate` seals. Null if every entry must have one.';
grant select on raw.identity to zmart_ingest, zmart_keeper, zmart_api, analyst;
grant update (genesis_hash, program_id) on raw.identity to zmart_ingest;

create table raw.feed (
    seq bigint primary key check (seq > 0),
    kind text collate "C" not null check (kind in (
        'event', 'retracted', 'moved', 'finalized_through', 'ballot', 'comment', 'reaction', 'metadata', 'mart_stale',
        'moderation', 'profile', 'market_page', 'event_group'
    )),
    ref bigint,
    market_no int,
    wallet_no int,
    at timestamptz not null default clock_timestamp(),
    digest bytea check (length(digest) = 32)
);
comment on table raw.feed is 'Holds one row per fact that a reader can learn, without gaps, in commit order.';
comment on column raw.feed.ref is
'event: null (the row of raw.events has the same seq). retracted, moved: seq of the event. finalized_through: slot. comment, reaction: comment_no. ballot, metadata, moderation, profile, market_page: the row''s own seq. event_group: number of the event. mart_stale: null.';
comment on column raw.feed.digest is
'SHA-256 of the text at that time, so that the text may be erased later. Null for event, retracted, moved, finalized_through and mart_stale.';
-- Finds the few entries that retract or move earlier ones, so that a window without any costs nothing.
create index feed_corrections on raw.feed (seq) where kind in ('retracted', 'moved');
-- Finds the watermark of finality without reading the feed.
create index feed_finality on raw.feed (ref) where kind = 'finalized_through';
grant select on raw.feed to zmart_ingest, zmart_keeper, zmart_api, analyst;

create table raw.commits (
    first_seq bigint not null check (first_seq > 0),
    last_seq bigint primary key,
    value bytea not null check (length(value) = 32),
    check (first_seq <= last_seq)
);
comment on table raw.commits is
'One row per append of entries: the SHA-256 of the value before and of a leaf for each entry. `zmart audit` computes it again.';
comment on column raw.commits.first_seq is 'The first entry of the append; the row before ends at the entry before.';
comment on column raw.commits.last_seq is 'The last entry of the append.';
comment on column raw.commits.value is
'SHA-256 of the value before (32 zero bytes at the beginning) followed by the leaves in order of seq; see raw.leaf.';
grant select on raw.commits to zmart_ingest, zmart_keeper, zmart_api, analyst;

create table raw.markets_seen (
    market_no int primary key,
    account text collate "C" not null unique,
    market_id text collate "C" unique check (market_id ~ '^[0-9a-f]{64}$')
);
comment on table raw.markets_seen is
'Holds one row per market account that an event has named. market_id is null while only WinningsClaimed, which carries only the account, has named it (protocol.md 1.7).';
grant select, insert, update on raw.markets_seen to zmart_ingest;
grant select on raw.markets_seen to zmart_keeper, zmart_api, analyst;

create table raw.wallets_seen (
    wallet_no int primary key,
    wallet text collate "C" not null unique
);
comment on table raw.wallets_seen is 'Holds one row per wallet that an event has named or that has used the API.';
grant select, insert, update on raw.wallets_seen to zmart_ingest;
grant select on raw.wallets_seen to zmart_keeper, zmart_api, analyst;

create table raw.transactions (
    transaction_no bigint primary key,
    signature text collate "C" not null,
    slot bigint not null check (slot >= 0),
    index_in_block int check (index_in_block between 0 and 32767),
    order_settled boolean not null,
    block_time timestamptz,
    err text,
    fee_lamports numeric(20, 0),
    body bytea,
    digest bytea not null,
    sightings jsonb not null default '{}',
    first_seen_at timestamptz not null default clock_timestamp(),
    retracted_at timestamptz,
    bundle_no bigint,
    bundle_start int,
    bundle_length int,
    first_source text collate "C",
    -- Unique by a hash index, which has a third of the size of a B-tree.
    constraint transactions_signature_once exclude using hash (signature with =)
);
alter table raw.transactions alter column body set storage external;
comment on table raw.transactions is
'Holds one row per signature, with the transaction as it was delivered, byte for byte.';
comment on column raw.transactions.index_in_block is
'Null while unknown. The order of the transaction''s events is then provisional.';
comment on column raw.transactions.body is
'The delivered JSON, zlib-compressed, if it is in no bundle. The type is bytea, because a log line may contain U+0000, which jsonb cannot store. Old bodies may be deleted.';
comment on column raw.transactions.digest is
'SHA-256 of (slot, err, log lines). Two deliveries are duplicates if these are equal.';
comment on column raw.transactions.sightings is
'How often each source has delivered the transaction, for example {"webhook": 2}.';
comment on column raw.transactions.bundle_no is
'The row of raw.bundles that contains the delivered JSON. Null if body contains it. It is no foreign key, because old bundles may be deleted.';
comment on column raw.transactions.bundle_start is 'Offset of the JSON in the decompressed bundle, in bytes.';
comment on column raw.transactions.bundle_length is 'Length of the JSON in bytes.';
comment on column raw.transactions.first_source is
'The source that delivered it first, for example grpc. Null for rows of earlier releases.';
-- Finds the transactions of a slot for completeness walks, order conflicts and retractions.
create index transactions_slot_idx on raw.transactions (slot);
-- Finds transactions whose order in their slot is not settled yet.
create index transactions_unsettled on raw.transactions (slot) where not order_settled and retracted_at is null;
grant select, insert, update on raw.transactions to zmart_ingest;
grant select on raw.transactions to zmart_keeper, zmart_api, analyst;

create table raw.events (
    seq bigint primary key,
    order_key bigint not null,
    transaction_no bigint not null references raw.transactions,
    ordinal int not null check (ordinal between 0 and 511),
    name text collate "C" not null,
    market_no int,
    wallet_no int,
    clock bigint not null,
    payload jsonb not null,
    context jsonb,
    retracted_at timestamptz
);
comment on table raw.events is
'Holds one row per event of the program, keyed by (transaction, ordinal). seq is its position in the feed.';
comment on column raw.events.order_key is 'Place on chain: slot << 24 | index in block << 9 | ordinal.';
comment on column raw.events.clock is 'The event''s own timestamp: Unix seconds of the chain''s Clock.';
comment on column raw.events.payload is
'The event''s other fields as the program wrote them. 64-bit integers are strings.';
comment on column raw.events.context is
'Data that the event omits, read from the same transaction: instruction arguments and the lamports of the market account. Null if absent.';
-- Makes sure that an event is applied once: a transaction that lands again after a retraction gets new rows, and an
-- event never has a second live row.
create unique index events_live on raw.events (transaction_no, ordinal) where retracted_at is null;
-- Reads the history of a market in chain order, for refolds and for sells whose gross follows from earlier totals.
create index events_market_no_order_key_idx on raw.events (market_no, order_key);
-- Reads the history of a wallet in one market, for user positions and their average cost.
create index events_wallet_no_market_no_order_key_idx on raw.events (wallet_no, market_no, order_key);
-- Reads by the order on chain alone: finds the trades after a late configuration, and serves reads as of a slot.
create index events_order_key_idx on raw.events (order_key);
-- Finds the few events of the whole protocol, so that a window without any costs nothing.
create index events_protocol on raw.events (seq) where market_no is null;
-- Finds the creation of a market, for its liquidity parameter b.
create index events_creations on raw.events (market_no) where name = 'MarketCreated';
-- Reads a wallet's newest events in all markets. Without it, each page sorts all rows of a busy wallet.
create index events_wallet_no_order_key_idx on raw.events (wallet_no, order_key) where wallet_no is not null;
grant select, insert, update on raw.events to zmart_ingest;
grant select on raw.events to zmart_keeper, zmart_api, analyst;

create table raw.dead_letters (
    dead_letter_no bigint generated always as identity primary key,
    signature text collate "C",
    ordinal int,
    reason_code text collate "C" not null,
    reason text not null,
    source text collate "C" not null,
    bytes bytea,
    sightings int not null default 1,
    first_seen_at timestamptz not null default clock_timestamp(),
    last_seen_at timestamptz not null default clock_timestamp(),
    retried_at timestamptz,
    resolved_at timestamptz,
    digest bytea not null,
    unique nulls not distinct (signature, ordinal, reason_code, digest)
);
comment on table raw.dead_letters is
'Holds items that could not be used, with their bytes and the reason, until an operator retries them.';
grant select, insert, update on raw.dead_letters to zmart_ingest;
grant select on raw.dead_letters to zmart_keeper, zmart_api, analyst;

create table raw.accounts (
    account text collate "C" not null,
    slot bigint not null,
    kind text collate "C" not null,
    lamports numeric(20, 0) not null,
    data bytea not null,
    read_at timestamptz not null default clock_timestamp(),
    primary key (account, slot)
);
comment on table raw.accounts is
'Holds accounts as an RPC node returned them at a slot. Only the reconciliation reads them, the folds never do.';
grant select, insert, update on raw.accounts to zmart_ingest;
grant select, insert, delete on raw.accounts to zmart_keeper;

create table raw.coverage (
    source text collate "C" not null,
    from_slot bigint not null,
    to_slot bigint not null,
    successful_transactions bigint not null,
    digest bytea not null,
    proven_at timestamptz not null default clock_timestamp(),
    primary key (source, from_slot),
    constraint coverage_check check (from_slot <= to_slot)
);
comment on table raw.coverage is
'Holds slot ranges that are proven complete, per source, with the count and digest of their successful signatures.';
-- Gives raw.verified_through its answer without reading all proofs.
create index coverage_proven on raw.coverage (source, to_slot);
grant select, insert, update on raw.coverage to zmart_ingest;
grant select on raw.coverage to zmart_keeper, zmart_api, analyst;

create table raw.covered_slots (
    source text collate "C" primary key,
    slots int8multirange not null,
    successful_transactions numeric not null,
    proven_at timestamptz not null
);
comment on table raw.covered_slots is
'Holds one row per source with all slots of its rows in raw.coverage, so that gaps are found without reading those. A trigger writes it.';
grant select on raw.covered_slots to zmart_ingest, zmart_keeper, zmart_api, analyst;

create table raw.pending_signatures (
    signature text collate "C" primary key,
    reason text collate "C" not null,
    attempts int not null default 0,
    requested_at timestamptz not null default clock_timestamp(),
    next_attempt_at timestamptz not null default clock_timestamp(),
    slot bigint,
    last_error text,
    failing_since timestamptz,
    last_error_kind text collate "C"
);
comment on table raw.pending_signatures is
'Holds signatures that were reported without logs. Their transactions are still to be fetched.';
comment on column raw.pending_signatures.reason is
'walk, backfill: the chain lists it. differs: two deliveries disagree, and the finalized chain decides. retry: an operator requested it. Any other text names the source that reported it.';
comment on column raw.pending_signatures.slot is
'The slot in which the chain lists it. The oldest is fetched first. Null if only a delivery named it.';
comment on column raw.pending_signatures.last_error is 'Why the last attempt did not fetch it.';
comment on column raw.pending_signatures.failing_since is
'When the first attempt failed to fetch it. Null before that.';
comment on column raw.pending_signatures.last_error_kind is
'The kind of the last error (a class of zmart.chain.rpc_errors). Unknown if no node knows the signature.';
grant select, insert, update, delete on raw.pending_signatures to zmart_ingest;
grant select on raw.pending_signatures to zmart_keeper, zmart_api, analyst;

create table raw.retraction_candidates (
    signature text collate "C" primary key,
    slot bigint not null,
    missed_at_height bigint not null,
    missed_at timestamptz not null default clock_timestamp()
);
comment on table raw.retraction_candidates is
'Holds transactions of the log that the finalized history does not list. One is retracted only when that is proven. Its row is deleted if the history lists it after all.';
comment on column raw.retraction_candidates.missed_at_height is
'Finalized block height at which it was first missing. 150 blocks later its blockhash has expired for certain.';
grant select, insert, update, delete on raw.retraction_candidates to zmart_ingest;
grant select on raw.retraction_candidates to zmart_keeper, zmart_api, analyst;

create table raw.bundles (
    bundle_no bigint primary key,
    content bytea not null
);
alter table raw.bundles alter column content set storage external;
comment on table raw.bundles is
'Holds delivered JSON byte for byte: the transactions of one batch, concatenated and zlib-compressed. No other rows of the log may be deleted by age.';
grant select, insert on raw.bundles to zmart_ingest;
grant select on raw.bundles to zmart_keeper, zmart_api, analyst;

-- ---- schema log -------------------------------------------------------------------------------------------------

create view log.feed as
select
    f.seq,
    f.kind,
    f.ref,
    m.market_id,
    m.account as market_account,
    w.wallet,
    f.at
from raw.feed as f
left join raw.markets_seen as m on f.market_no = m.market_no
left join raw.wallets_seen as w on f.wallet_no = w.wallet_no;
comment on view log.feed is 'One row per fact in the order in which it was committed; see raw.feed.';
comment on column log.feed.ref is
'retracted, moved: seq of the event. finalized_through: slot. comment, reaction: number of the comment. ballot, metadata, moderation, profile, market_page: the entry''s own seq. event_group: number of the event. Null for event and mart_stale.';
grant select on log.feed to zmart_ingest, zmart_keeper, zmart_api, analyst;

create view log.events as
select
    e.seq,
    e.order_key as position,
    e.order_key >> 24 as slot,
    t.signature,
    e.ordinal,
    e.name,
    m.market_id,
    m.account as market_account,
    w.wallet,
    e.clock,
    to_timestamp(least(greatest(e.clock, 0), 253402300799)) as happened_at,
    e.payload,
    e.context,
    e.retracted_at
from raw.events as e
inner join raw.transactions as t on e.transaction_no = t.transaction_no
left join raw.markets_seen as m on e.market_no = m.market_no
left join raw.wallets_seen as w on e.wallet_no = w.wallet_no;
comment on view log.events is 'One row per event of the program, retracted ones included.';
comment on column log.events.position is 'Place on chain, to sort by: slot << 24 | index in block << 9 | ordinal.';
comment on column log.events.clock is 'The event''s own timestamp, Unix seconds of the chain''s clock.';
comment on column log.events.payload is
'The event''s other fields as the program wrote them; 64-bit integers as strings.';
comment on column log.events.context is 'Data of the same transaction that the event omits; null where absent.';
comment on column log.events.retracted_at is 'When the chain was proven not to hold the event; null while it counts.';
grant select on log.events to zmart_ingest, zmart_keeper, zmart_api, analyst;

create view log.transactions as
select
    t.signature,
    t.slot,
    t.index_in_block,
    t.order_settled as is_order_final,
    t.block_time,
    t.err,
    t.fee_lamports,
    t.first_seen_at,
    t.retracted_at,
    t.sightings,
    t.first_source
from raw.transactions as t;
comment on view log.transactions is 'One row per transaction of the program, failed and retracted ones included.';
comment on column log.transactions.is_order_final is 'Whether its index in the block is known from the chain.';
comment on column log.transactions.err is 'The error as JSON, null for success.';
comment on column log.transactions.sightings is
'How often each source has delivered the transaction, for example {"webhook": 2}.';
comment on column log.transactions.first_source is
'The source that delivered it first, for example grpc. Null for rows of earlier releases.';
grant select on log.transactions to zmart_ingest, zmart_keeper, zmart_api, analyst;

create view log.commits as
select
    c.first_seq,
    c.last_seq,
    encode(c.value, 'hex') as value,
    encode(substr(c.value, 1, 8), 'hex') as mark
from raw.commits as c;
comment on view log.commits is 'One row per append: its range of entries, its chain value, and the mark of positions in it.';
grant select on log.commits to zmart_ingest, zmart_keeper, zmart_api, analyst;

-- ---- schema ops -------------------------------------------------------------------------------------------------

create table ops.models (
    name text collate "C" primary key,
    kind text collate "C" not null check (kind in ('fold', 'ordered')),
    definition_hash text collate "C" not null,
    listens_to text [] not null,
    fold_sql text not null,
    merge_sql text not null,
    key_columns text [] not null,
    scope_columns text [] not null,
    columns text [] not null,
    fee_sensitive boolean not null,
    built_to bigint not null,
    built_at timestamptz not null default clock_timestamp(),
    stale_since timestamptz,
    applied_seq bigint,
    failed_event bigint,
    reason text,
    indexes text [],
    staged_as text collate "C",
    staged_sql text,
    behind_since timestamptz,
    attempts int,
    data_failures int,
    next_attempt_at timestamptz,
    constraint models_check check (stale_since is null or applied_seq is not null),
    constraint models_check1 check ((staged_as is null) = (staged_sql is null))
);
comment on table ops.models is
'Holds one row per folded model. A model that follows the log has no applied_seq. A model that is behind stopped at applied_seq, for reason, and is retried. A stale model (stale_since) waits for a rebuild.';
comment on column ops.models.listens_to is
'Event names and feed kinds that change the model. A window without any of them skips it.';
comment on column ops.models.fold_sql is
'The model''s compiled select. A marker in it is replaced by the window of the log.';
comment on column ops.models.merge_sql is 'The statement that merges the partial result of a window into /*target*/.';
comment on column ops.models.scope_columns is
'Columns of both log and mart that identify the rows which an event affects.';
comment on column ops.models.indexes is
'The indexes that the model requires, as Postgres writes them after USING. Null until the model is installed with them.';
comment on column ops.models.staged_as is
'The step that the model shares with others: a type in folds for its rows, and a function of the same name that returns the rows of a window. Null if it shares none.';
comment on column ops.models.staged_sql is 'The select of that step, exactly as fold_sql and merge_sql contain it.';
comment on column ops.models.behind_since is 'When the model stopped following the log. Null while it follows.';
comment on column ops.models.attempts is
'Attempts that failed, less those that made progress. A greater number makes the pause longer and the window of an attempt smaller.';
comment on column ops.models.data_failures is
'Attempts that failed for a reason other than the environment. The third makes the model stale.';
comment on column ops.models.next_attempt_at is 'When the model is tried again.';
grant select on ops.models to zmart_ingest, zmart_keeper, zmart_api, analyst;

create view ops.model_status as
select
    m.name,
    m.kind,
    m.stale_since is not null as is_stale,
    coalesce(m.applied_seq, h.seq) as applied_seq,
    h.seq - coalesce(m.applied_seq, h.seq) as behind,
    m.stale_since,
    m.failed_event,
    m.reason,
    m.built_at,
    m.applied_seq is not null and m.stale_since is null as is_behind,
    m.behind_since,
    case when m.stale_since is null then m.next_attempt_at end as next_attempt_at
from ops.models as m
cross join (select coalesce(max(seq), 0) as seq from raw.feed) as h;
comment on view ops.model_status is 'Lists each folded model and the seq up to which it reflects the log.';
grant select on ops.model_status to zmart_ingest, zmart_keeper, zmart_api, analyst;

create table ops.intents (
    intent_no bigint generated always as identity primary key,
    market_no int not null references raw.markets_seen,
    action text collate "C" not null,
    arguments jsonb not null default '{}',
    plan jsonb not null,
    lease_epoch bigint not null,
    state text collate "C" not null default 'planned'
    check (state in ('planned', 'sent', 'landed', 'done', 'refused', 'quarantined', 'reopened')),
    attempts int not null default 0,
    created_at timestamptz not null default clock_timestamp(),
    closed_at timestamptz,
    outcome jsonb
);
comment on table ops.intents is
'Holds one row per action that a keeper decided on. It is open until the log holds its event, finalized.';
comment on column ops.intents.plan is 'The facts that were known and proven when the keeper decided.';
comment on column ops.intents.state is
'planned: decided, and nothing is signed that could land. sent: signed bytes are stored and may land. landed: a node reports it, but the log does not hold it yet, or not as final. done: the log holds the event, finalized. refused: given up for a reason. quarantined: three attempts failed, and an operator must look. reopened: it was done, and the chain retracted it.';
comment on column ops.intents.attempts is 'Submissions that ended without success.';
comment on column ops.intents.outcome is
'How it ended, or the last reason why it has not ended: kind, words, signature.';
-- Allows one open intent per market and action, because two would send twice. A quarantined one stays open until an
-- operator releases it.
create unique index intents_open on ops.intents (market_no, action)
where state in ('planned', 'sent', 'landed', 'reopened', 'quarantined');
grant select, insert, update on ops.intents to zmart_keeper;
grant select on ops.intents to zmart_api, analyst;

create table ops.submissions (
    signature text collate "C" primary key,
    intent_no bigint not null references ops.intents,
    transaction_bytes bytea not null,
    last_valid_block_height bigint not null,
    stored_at timestamptz not null default clock_timestamp(),
    sent_at timestamptz,
    ended_at timestamptz,
    ending text collate "C" check (ending in ('landed', 'failed', 'expired')),
    fee_lamports bigint not null default 0 check (fee_lamports >= 0),
    payer text collate "C" not null default '',
    lease_epoch bigint not null default 0,
    units int not null default 0,
    slot bigint,
    outcome jsonb
);
comment on table ops.submissions is 'Holds signed bytes, which are stored before they are sent.';
comment on column ops.submissions.ending is
'landed: succeeded on chain. failed: on chain and finalized, with an error. expired: can never land. Null: may still land.';
comment on column ops.submissions.fee_lamports is 'The fee that landing costs the payer, including the priority fee.';
comment on column ops.submissions.slot is 'The slot in which it landed, as a node reported it.';
-- Allows no other signed bytes while those of an intent may still land. This is the last guard against a second send.
create unique index submissions_open on ops.submissions (intent_no) where ending is null;
-- Finds the submissions of a day, for its budget.
create index submissions_stored on ops.submissions (stored_at);
grant select, insert, update on ops.submissions to zmart_keeper;
grant select (signature, intent_no, stored_at, sent_at, ended_at, ending, fee_lamports, payer, slot) on ops.submissions to zmart_api, analyst;

create table ops.snapshots (
    market_no int not null references raw.markets_seen,
    day date not null,
    cid_v0 text collate "C" not null,
    cid_v1 text collate "C" not null,
    previous_cid text collate "C",
    comments_count int not null,
    published_at timestamptz,
    pinned_at timestamptz,
    document_bytes bigint,
    primary key (market_no, day)
);
comment on table ops.snapshots is 'Holds one row per market and UTC day whose discussion was anchored.';
comment on column ops.snapshots.previous_cid is
'The CIDv0 of the market''s previous anchored day, as the document contains it.';
comment on column ops.snapshots.comments_count is
'Number of comments in the document: written, edited or deleted on that day.';
comment on column ops.snapshots.published_at is 'When a node stored the document under this CID and it was read back.';
comment on column ops.snapshots.pinned_at is
'When the second service reported that it pinned the document. Null without such a service, or before that.';
-- Finds a document by its CIDv0. Requests use either spelling.
create index snapshots_v0 on ops.snapshots (cid_v0);
-- Finds a document by its CIDv1.
create index snapshots_v1 on ops.snapshots (cid_v1);
grant select, insert, update on ops.snapshots to zmart_keeper;
grant select on ops.snapshots to zmart_api, analyst;

create table ops.alerts (
    alert_no bigint generated always as identity primary key,
    kind text collate "C" not null,
    subject text collate "C" not null default '',
    severity text collate "C" not null check (severity in ('info', 'warning', 'critical')),
    message text not null,
    occurrences int not null default 1,
    raised_at timestamptz not null default clock_timestamp(),
    last_at timestamptz not null default clock_timestamp(),
    acknowledged_at timestamptz,
    resolved_at timestamptz,
    acknowledged_by text,
    posted_at timestamptz,
    resolution_posted_at timestamptz,
    refusals int not null default 0,
    refused_at timestamptz,
    refusal text
);
comment on table ops.alerts is
'Holds conditions that an operator should look at. While open, there is one row per (kind, subject).';
comment on column ops.alerts.acknowledged_at is
'When an operator acknowledged it. It stays open, and is not posted again.';
comment on column ops.alerts.acknowledged_by is 'The name that the operator gave.';
comment on column ops.alerts.posted_at is 'When it was last posted to ALERT_WEBHOOK_URL. Null if it never was.';
comment on column ops.alerts.resolution_posted_at is 'When its resolution was posted.';
comment on column ops.alerts.refusals is
'Number of consecutive posts that ALERT_WEBHOOK_URL did not accept. 0 after one is accepted.';
comment on column ops.alerts.refused_at is 'When the last of these posts failed.';
comment on column ops.alerts.refusal is 'The last response, or the error if there was none.';
-- Allows one open row per alert. A repeated alert increments its count.
create unique index alerts_open on ops.alerts (kind, subject) where resolved_at is null;
grant select on ops.alerts to zmart_ingest, zmart_api, analyst;
grant select, insert, update on ops.alerts to zmart_keeper;

create table ops.cursors (
    name text collate "C" primary key,
    value jsonb not null,
    moved_at timestamptz not null default clock_timestamp()
);
comment on table ops.cursors is 'Holds the place where a walker or sensor continues.';
grant select, insert, update on ops.cursors to zmart_ingest, zmart_keeper;
grant select on ops.cursors to zmart_api, analyst;

create table ops.leases (
    name text collate "C" primary key,
    holder text not null,
    epoch bigint not null default 1,
    expires_at timestamptz not null
);
comment on table ops.leases is
'Holds the process that has the exclusive right to act, and the epoch that is stored with each of its actions.';
grant select, insert, update on ops.leases to zmart_keeper;

create table ops.keeper_rounds (
    keeper text collate "C" not null,
    is_dry boolean not null,
    ran_at timestamptz not null default clock_timestamp(),
    worked_at timestamptz,
    outcome text not null check (outcome in ('worked', 'skipped', 'stopped', 'failed')),
    due int not null,
    sent int not null,
    message text not null,
    seconds double precision not null,
    primary key (keeper, is_dry)
);
comment on table ops.keeper_rounds is
'The last round of each keeper, signing ones and dry ones apart; ingest raises keepers_idle from it.';
comment on column ops.keeper_rounds.worked_at is
'When a round last came to its end; null before the first. A skipped, stopped or failed one does not move it.';
comment on column ops.keeper_rounds.due is
'Actions of its plan that were due.';
grant select, insert, update on ops.keeper_rounds to zmart_keeper;
grant select on ops.keeper_rounds to zmart_ingest, zmart_api, analyst;

create table ops.audit (
    audit_no bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    who text not null check (who <> ''),
    login text not null default session_user,
    action text not null check (action <> ''),
    subject text not null,
    reason text not null check (reason ~ '\S'),
    details jsonb not null default '{}'
);
comment on table ops.audit is
'Decisions of operators. Rows are written by ops.record_audit before the decision takes effect, and never changed.';
comment on column ops.audit.who is
'The account of the operating system that ran the command.';
comment on column ops.audit.login is
'The login of the database.';
comment on column ops.audit.details is
'The plan as the operator saw it: for an approved action its keeper, arguments, reason and ballots.';
grant select on ops.audit to zmart_ingest, zmart_keeper, zmart_api, analyst;

create table ops.accepted_gaps (
    gap_no bigint generated always as identity primary key,
    from_slot bigint not null,
    to_slot bigint not null,
    audit_no bigint not null references ops.audit,
    closed_at timestamptz,
    constraint accepted_gaps_check check (from_slot <= to_slot)
);
comment on table ops.accepted_gaps is
'Ranges of slots that no node proves. An operator accepted each, so that finality passes it; the row of ops.audit has who, when and why.';
comment on column ops.accepted_gaps.closed_at is
'When the last of its transactions was proven, fetched, replaced or retracted. Null while it is open.';
grant select on ops.accepted_gaps to zmart_ingest, zmart_keeper, zmart_api, analyst;

create table ops.gap_transactions (
    gap_no bigint not null references ops.accepted_gaps,
    signature text collate "C" not null,
    slot bigint not null,
    kind text collate "C" not null check (kind in ('unlisted', 'unfetched')),
    market_nos int [],
    outcome text collate "C" check (outcome in ('listed', 'fetched', 'replaced', 'retracted')),
    closed_at timestamptz,
    primary key (gap_no, signature),
    constraint gap_transactions_check check ((outcome is null) = (closed_at is null))
);
comment on table ops.gap_transactions is
'The transactions for which a gap was accepted. While a row is open, finality passes this transaction alone, and its events are not final.';
comment on column ops.gap_transactions.kind is
'unlisted: the log holds it and no node lists it. unfetched: a node lists it as successful and no node serves it.';
comment on column ops.gap_transactions.market_nos is
'unfetched: the markets whose accounts it names, by the nodes'' lists. Null if unknown; then any market with an event up to its slot may be one.';
comment on column ops.gap_transactions.outcome is
'How it was closed: a node lists it, it was fetched or delivered, the chain has another version of it, or it is proven absent.';
-- Finds the open transactions, and lets a transaction be in one open gap only.
create unique index gap_transactions_open on ops.gap_transactions (signature) where closed_at is null;
grant select on ops.gap_transactions to zmart_ingest, zmart_keeper, zmart_api, analyst;

create table ops.exports (
    export_no bigint generated always as identity primary key,
    location text collate "C" not null,
    epoch uuid not null,
    dataset text collate "C" not null check (dataset in ('log', 'marts')),
    first_seq bigint not null,
    last_seq bigint not null,
    rows bigint not null,
    bytes bigint not null,
    manifest_path text collate "C" not null,
    manifest_sha256 text collate "C" not null check (manifest_sha256 ~ '^[0-9a-f]{64}$'),
    chain_value text collate "C" check (chain_value ~ '^[0-9a-f]{64}$'),
    files jsonb not null,
    exported_at timestamptz not null,
    verified_at timestamptz not null default clock_timestamp(),
    damaged_at timestamptz,
    damage text,
    unique (location, epoch, dataset, first_seq, last_seq),
    constraint exports_check check (first_seq <= last_seq),
    constraint exports_damage_check check ((damaged_at is null) = (damage is null))
);
comment on table ops.exports is
'Holds one row per published segment of exported files. It is written after the files were read back and equal.';
comment on column ops.exports.location is 'The folder or s3:// address, as EXPORT_URL names it.';
comment on column ops.exports.first_seq is 'log: its first entry. marts: the same as last_seq, the entry up to which the log is in them.';
comment on column ops.exports.manifest_path is 'The path of the manifest below the location.';
comment on column ops.exports.chain_value is 'The value of the chain at last_seq, where an append ends there.';
comment on column ops.exports.files is 'The files: path, table, rows, bytes and SHA-256 of each.';
comment on column ops.exports.verified_at is 'When its files were last read and had the digests of the manifest.';
comment on column ops.exports.damaged_at is 'When a file was found missing or different. Null while all are as they were published.';
grant select on ops.exports to zmart_ingest, zmart_keeper, zmart_api, analyst;

create table ops.settings (
    name text collate "C" primary key,
    value bigint not null,
    meaning text not null
);
comment on table ops.settings is 'Holds settings that views need. Each deployment writes them from the environment.';
insert into ops.settings (name, value, meaning) values
('dispute_voting_window_seconds', 259200, 'how long ballots of a dispute are accepted after its initiation');
grant select on ops.settings to zmart_ingest, zmart_keeper, zmart_api, analyst;

create table ops.scheduled_models (
    name text collate "C" primary key,
    definition_hash text collate "C" not null,
    select_sql text not null,
    key_columns text [] not null,
    columns text [] not null,
    reads text [] not null,
    applied_seq bigint not null,
    refreshed_at timestamptz not null default clock_timestamp(),
    seconds numeric(12, 3) not null default 0,
    changed_rows bigint not null default 0,
    indexes text []
);
comment on table ops.scheduled_models is
'Holds one row per scheduled mart: the select that computes it, and the seq up to which its rows reflect the log.';
comment on column ops.scheduled_models.select_sql is 'The model''s compiled select, with all columns of the mart.';
comment on column ops.scheduled_models.reads is
'Marts from which it is computed, through views and staging models. If one of them is behind, so is this mart.';
comment on column ops.scheduled_models.applied_seq is 'The rows reflect the log up to this seq.';
comment on column ops.scheduled_models.seconds is 'Duration of the last refresh.';
comment on column ops.scheduled_models.changed_rows is 'Rows that the last refresh wrote.';
comment on column ops.scheduled_models.indexes is
'The indexes that the model requires, as Postgres writes them after USING.';
grant select on ops.scheduled_models to zmart_ingest, zmart_keeper, zmart_api, analyst;

create view ops.model_position as
select
    name,
    applied_seq
from ops.models
where applied_seq is not null
union all
select
    name,
    applied_seq
from ops.scheduled_models;
comment on view ops.model_position is
'Lists marts that may be behind the log, with the seq that they reflect: folds that are behind or stale, and every scheduled mart.';
grant select on ops.model_position to zmart_ingest, zmart_keeper, zmart_api, analyst;

create table ops.uncompared_accounts (
    account text collate "C" primary key check (account <> ''),
    since timestamptz not null default clock_timestamp(),
    reason text not null
);
comment on table ops.uncompared_accounts is
'Holds markets that the newest check of the program''s accounts did not compare. The check accounts_equal_folds writes it.';
comment on column ops.uncompared_accounts.account is
'Address of the market''s account, or config for the configuration.';
comment on column ops.uncompared_accounts.since is
'Time of the first of the consecutive checks that did not compare it.';
comment on column ops.uncompared_accounts.reason is 'Why the newest check did not compare it.';
grant select, insert, update, delete on ops.uncompared_accounts to zmart_keeper;

-- ---- schema app -------------------------------------------------------------------------------------------------

create table app.wallets (
    wallet_no int primary key references raw.wallets_seen,
    display_name text check (length(display_name) between 1 and 50),
    bio text check (length(bio) <= 500),
    avatar_url text check (length(avatar_url) <= 500),
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    last_seen_at timestamptz
);
comment on table app.wallets is 'Holds one row per wallet that has a profile.';
comment on column app.wallets.last_seen_at is 'When the wallet last reported itself; null if it never did.';
alter table app.wallets enable row level security;
alter table app.wallets force row level security;
grant select on app.wallets to zmart_api;

create table app.market_metadata (
    market_id text collate "C" not null check (market_id ~ '^[0-9a-f]{64}$'),
    wallet_no int not null references raw.wallets_seen,
    question text not null check (length(question) between 10 and 200),
    description text check (length(description) <= 2000),
    category text collate "C" not null default 'other'
    check (category in ('politics', 'sports', 'crypto', 'science', 'entertainment', 'other')),
    tags text [] not null default '{}' check (cardinality(tags) <= 10),
    ends_at timestamptz,
    question_cid text collate "C",
    created_at timestamptz not null default clock_timestamp(),
    user_wallet text collate "C" not null,
    search tsvector not null generated always as (
        to_tsvector('english', ((question || ' ') || coalesce(description, '')))
    ) stored,
    slug text collate "C",
    primary key (market_id, wallet_no)
);
comment on table app.market_metadata is
'Holds one row per market and wallet that set its question. Only the row of the market''s creator counts. Events carry no question (protocol.md 1.4.2).';
comment on column app.market_metadata.slug is 'The current one of the market''s rows in app.market_slugs.';
-- Searches by words.
create index market_metadata_words on app.market_metadata using gin (search);
-- Searches by parts of words. The extension may be in any schema.
do $$
declare
    v_schema text;
begin
    create extension if not exists pg_trgm;
    select n.nspname into v_schema from pg_extension as e inner join pg_namespace as n on e.extnamespace = n.oid
    where e.extname = 'pg_trgm';
    execute format('create index market_metadata_parts on app.market_metadata
                    using gin (question %1$I.gin_trgm_ops, description %1$I.gin_trgm_ops)', v_schema);
end
$$;
alter table app.market_metadata enable row level security;
alter table app.market_metadata force row level security;
grant select on app.market_metadata to zmart_api;

create table app.market_slugs (
    slug text collate "C" primary key check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' and length(slug) <= 100),
    market_id text collate "C" not null check (market_id ~ '^[0-9a-f]{64}$'),
    wallet_no int not null references raw.wallets_seen,
    assigned_at timestamptz not null default clock_timestamp()
);
comment on table app.market_slugs is
'Holds every slug that a market has or had. The primary key makes each one lead to one market for good.';
comment on column app.market_slugs.wallet_no is 'The wallet whose metadata it was made from. Only that of the market''s creator counts.';
-- Counts the slugs of a market.
create index market_slugs_market_id_idx on app.market_slugs (market_id, wallet_no);
alter table app.market_slugs enable row level security;
alter table app.market_slugs force row level security;
grant select on app.market_slugs to zmart_api;

create table app.images (
    digest bytea primary key,
    content bytea not null,
    media_type text collate "C" not null check (media_type in ('image/png', 'image/jpeg', 'image/webp')),
    width int not null check (width between 1 and 4096),
    height int not null check (height between 1 and 4096),
    wallet_no int not null references raw.wallets_seen,
    stored_at timestamptz not null default clock_timestamp(),
    hidden_at timestamptz,
    erased_at timestamptz,
    constraint images_digest_check check (digest = sha256(content) or erased_at is not null),
    constraint images_content_check check (length(content) between 1 and 524288 or (erased_at is not null and content = '')),
    constraint images_erased_check check (erased_at is null or hidden_at is not null)
);
-- Images are compressed already.
alter table app.images alter column content set storage external;
comment on table app.images is 'Holds one row per image that a market shows or a moderator has hidden, by the SHA-256 of its bytes.';
comment on column app.images.wallet_no is 'The wallet that sent it first.';
comment on column app.images.hidden_at is 'When a moderator hid it; null if it is shown.';
comment on column app.images.erased_at is 'When a moderator erased its bytes. They are refused when they come again.';
alter table app.images enable row level security;
alter table app.images force row level security;
grant select on app.images to zmart_api;

create table app.event_groups (
    event_no int primary key,
    slug text collate "C" not null,
    title text not null check (length(title) between 3 and 200),
    description text check (length(description) <= 2000),
    wallet_no int not null references raw.wallets_seen,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    hidden_at timestamptz,
    deleted_at timestamptz
);
comment on table app.event_groups is 'Holds one row per event: a title for markets that belong together.';
comment on column app.event_groups.slug is 'The current one of its rows in app.event_slugs.';
comment on column app.event_groups.wallet_no is 'The wallet that made it.';
comment on column app.event_groups.hidden_at is 'When a moderator hid it; null if it is shown.';
-- Counts the events of a wallet.
create index event_groups_wallet_no_idx on app.event_groups (wallet_no) where deleted_at is null;
alter table app.event_groups enable row level security;
alter table app.event_groups force row level security;
grant select on app.event_groups to zmart_api;

create table app.event_slugs (
    slug text collate "C" primary key check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' and length(slug) <= 100),
    event_no int not null references app.event_groups,
    assigned_at timestamptz not null default clock_timestamp()
);
comment on table app.event_slugs is
'Holds every slug that an event has or had. The primary key makes each one lead to one event for good.';
-- Counts the slugs of an event.
create index event_slugs_event_no_idx on app.event_slugs (event_no);
alter table app.event_slugs enable row level security;
alter table app.event_slugs force row level security;
grant select on app.event_slugs to zmart_api;

create table app.market_pages (
    market_no int primary key references raw.markets_seen,
    image_digest bytea references app.images,
    event_no int references app.event_groups,
    event_place int,
    constraint market_pages_event_check check ((event_no is null) = (event_place is null))
);
comment on table app.market_pages is 'Holds one row per market with more than its metadata to show.';
comment on column app.market_pages.event_place is 'Its place among the markets of the event, from 1.';
-- Reads the markets of an event in their order.
create index market_pages_event_no_idx on app.market_pages (event_no, event_place) where event_no is not null;
-- Finds the markets that show an image.
create index market_pages_image_digest_idx on app.market_pages (image_digest) where image_digest is not null;
alter table app.market_pages enable row level security;
alter table app.market_pages force row level security;
grant select on app.market_pages to zmart_api;

create table app.ballots (
    seq bigint primary key,
    market_no int not null references raw.markets_seen,
    kind text collate "C" not null check (kind in ('proposal', 'dispute')),
    wallet_no int not null references raw.wallets_seen,
    vote boolean not null,
    cast_at timestamptz not null default clock_timestamp(),
    message text not null,
    signature text collate "C" not null,
    envelope bytea,
    unique (market_no, kind, wallet_no)
);
comment on table app.ballots is
'Holds one row per ballot cast through the API. vote is true for like on a proposal, and for agree on a dispute.';
comment on column app.ballots.envelope is
'The signed bytes, if the wallet signed an off-chain envelope around the message; else null.';
alter table app.ballots enable row level security;
alter table app.ballots force row level security;
grant select on app.ballots to zmart_api;

create table app.comments (
    comment_no bigint generated always as identity primary key,
    seq bigint not null unique,
    market_no int not null references raw.markets_seen,
    wallet_no int not null references raw.wallets_seen,
    parent_no bigint references app.comments,
    content text not null,
    created_at timestamptz not null default clock_timestamp(),
    edited_at timestamptz,
    deleted_at timestamptz,
    root_no bigint references app.comments,
    hidden_at timestamptz,
    erased_at timestamptz,
    constraint comments_root_check check ((parent_no is null) = (root_no is null)),
    constraint comments_content_check check (
        length(content) <= 1000 and (length(btrim(content)) > 0 or erased_at is not null)
    ),
    constraint comments_erased_check check (
        erased_at is null or (content = '' and hidden_at is not null)
    )
);
comment on table app.comments is 'Holds one row per comment on a market. A reply names its parent.';
comment on column app.comments.root_no is 'The comment that began the thread. Null for that comment itself.';
comment on column app.comments.hidden_at is 'When a moderator hid it; null if it is shown.';
comment on column app.comments.erased_at is 'When a moderator erased its text; the log has its digest.';
-- Reads the comments of a wallet, newest first.
create index comments_wallet_no_created_at_idx on app.comments (wallet_no, created_at desc);
-- Reads a page of the threads of a market.
create index comments_threads on app.comments (market_no, comment_no desc) where root_no is null;
-- Reads a page of all comments of a market.
create index comments_newest on app.comments (market_no, comment_no desc);
-- Reads the replies of a thread.
create index comments_replies on app.comments (root_no, comment_no) where root_no is not null;
-- Finds the comments of a UTC day, for its snapshot.
create index comments_when on app.comments (created_at);
-- Finds the deletions of a UTC day, for its snapshot.
create index comments_deleted on app.comments (deleted_at) where deleted_at is not null;
alter table app.comments enable row level security;
alter table app.comments force row level security;
grant select on app.comments to zmart_api;

create table app.comment_edits (
    comment_no bigint not null references app.comments,
    edited_at timestamptz not null default clock_timestamp(),
    content_before text not null,
    primary key (comment_no, edited_at)
);
comment on table app.comment_edits is 'Holds the text of a comment before each edit.';
-- Finds the edits of a UTC day, for its snapshot.
create index comment_edits_when on app.comment_edits (edited_at);
alter table app.comment_edits enable row level security;
alter table app.comment_edits force row level security;
grant select on app.comment_edits to zmart_api;

create table app.reactions (
    comment_no bigint not null references app.comments,
    wallet_no int not null references raw.wallets_seen,
    seq bigint not null,
    vote text collate "C" not null check (vote in ('up', 'down')),
    reacted_at timestamptz not null default clock_timestamp(),
    primary key (comment_no, wallet_no)
);
comment on table app.reactions is 'Holds one row per wallet and comment on which it voted.';
alter table app.reactions enable row level security;
alter table app.reactions force row level security;
grant select on app.reactions to zmart_api;

create table app.flags (
    comment_no bigint not null references app.comments,
    wallet_no int not null references raw.wallets_seen,
    reason text not null check (length(reason) between 1 and 500),
    flagged_at timestamptz not null default clock_timestamp(),
    primary key (comment_no, wallet_no)
);
comment on table app.flags is 'Holds one row per wallet and comment that it reported.';
-- Reads the newest reasons of a reported comment.
create index flags_newest on app.flags (comment_no, flagged_at);
alter table app.flags enable row level security;
alter table app.flags force row level security;
grant select on app.flags to zmart_api;

create table app.open_reports (
    comment_no bigint primary key references app.comments,
    flags int not null check (flags > 0),
    since timestamptz not null
);
comment on table app.open_reports is 'Holds one row per comment with reports that no decision of a moderator has followed yet.';
comment on column app.open_reports.flags is 'Wallets that reported it since the last decision.';
comment on column app.open_reports.since is 'The first of these reports.';
-- Reads a page of the queue of moderators.
create index open_reports_most on app.open_reports (flags, comment_no);
alter table app.open_reports enable row level security;
alter table app.open_reports force row level security;
grant select on app.open_reports to zmart_api;

create table app.bans (
    wallet_no int primary key references raw.wallets_seen,
    moderator_no int not null references raw.wallets_seen,
    reason text not null check (length(btrim(reason)) > 0 and length(reason) <= 500),
    banned_at timestamptz not null default clock_timestamp()
);
comment on table app.bans is 'Holds one row per wallet that may not write through the API.';
alter table app.bans enable row level security;
alter table app.bans force row level security;
grant select on app.bans to zmart_api;

create table app.moderation (
    seq bigint primary key,
    action text collate "C" not null check (action in (
        'hide', 'restore', 'erase', 'dismiss', 'ban', 'unban', 'clear'
    )),
    subject text collate "C" not null check (subject in ('post', 'wallet', 'profile', 'image', 'event')),
    comment_no bigint references app.comments,
    market_no int references raw.markets_seen,
    wallet_no int not null references raw.wallets_seen,
    moderator_no int not null references raw.wallets_seen,
    reason text not null check (length(btrim(reason)) > 0 and length(reason) <= 500),
    decided_at timestamptz not null default clock_timestamp(),
    image_digest bytea,
    event_no int references app.event_groups,
    constraint moderation_post_check check ((comment_no is null) = (subject <> 'post')),
    constraint moderation_image_check check ((image_digest is null) = (subject <> 'image')),
    constraint moderation_event_check check ((event_no is null) = (subject <> 'event'))
);
comment on table app.moderation is 'Holds every decision of a moderator, in the order of the log. Rows are never changed.';
comment on column app.moderation.wallet_no is 'The wallet whose text, image, event or right to write the decision is about.';
-- Finds the decisions about a comment, for the queue and for the state of a comment at the end of a day.
create index moderation_comments on app.moderation (comment_no, seq) where comment_no is not null;
alter table app.moderation enable row level security;
alter table app.moderation force row level security;
grant select on app.moderation to zmart_api;

create table app.sessions (
    session_id uuid default gen_random_uuid() primary key,
    wallet_no int not null references raw.wallets_seen,
    refresh_hash bytea not null unique check (length(refresh_hash) = 32),
    issued_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null,
    replaced_by uuid references app.sessions on delete set null,
    revoked_at timestamptz,
    family_id uuid not null default gen_random_uuid()
);
comment on table app.sessions is 'Holds one row per refresh token, as a hash. A token is used once and then replaced.';
comment on column app.sessions.family_id is 'The sign-in from which this token descends.';
-- Finds the sessions of a family, which are revoked together.
create index sessions_family_id_idx on app.sessions (family_id);
-- Finds expired sessions, which are deleted.
create index sessions_expires_at_idx on app.sessions (expires_at);
-- Serves the foreign key when a session is deleted.
create index sessions_replaced_by_idx on app.sessions (replaced_by);
alter table app.sessions enable row level security;
alter table app.sessions force row level security;

create table app.redeemed_nonces (
    nonce text collate "C" primary key,
    wallet_no int not null references raw.wallets_seen,
    redeemed_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null
);
comment on table app.redeemed_nonces is 'Holds nonces that were used. The primary key makes a second use fail.';
-- Finds expired nonces, which are deleted.
create index redeemed_nonces_expires_at_idx on app.redeemed_nonces (expires_at);
alter table app.redeemed_nonces enable row level security;
alter table app.redeemed_nonces force row level security;

create table app.api_keys (
    key_id uuid default gen_random_uuid() primary key,
    wallet_no int not null references raw.wallets_seen,
    name text not null check (length(name) between 1 and 100),
    secret_hash bytea not null unique check (length(secret_hash) = 32),
    scopes text [] not null check (scopes <> '{}' and scopes <@ array['read', 'trade', 'write']),
    created_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz,
    revoked_at timestamptz
);
comment on table app.api_keys is 'Holds one row per API key. The key itself is shown once, to its wallet; this is its SHA-256.';
comment on column app.api_keys.expires_at is 'Null if the key is valid until it is revoked.';
-- Finds the keys of a wallet.
create index api_keys_wallet_no_idx on app.api_keys (wallet_no);
alter table app.api_keys enable row level security;
alter table app.api_keys force row level security;

create table app.idempotency_keys (
    wallet_no int not null references raw.wallets_seen,
    idempotency_key text collate "C" not null check (length(idempotency_key) between 1 and 255),
    request_hash bytea not null check (length(request_hash) = 32),
    claimed_until timestamptz not null,
    is_written boolean not null default false,
    status int,
    content_type text,
    body bytea,
    expires_at timestamptz not null,
    primary key (wallet_no, idempotency_key)
);
comment on table app.idempotency_keys is
'Holds one row per Idempotency-Key of a wallet: the request that came with it first, and the answer to its repeats.';
comment on column app.idempotency_keys.request_hash is 'SHA-256 of path and body.';
comment on column app.idempotency_keys.claimed_until is
'Until then a process is expected to answer; afterwards another may run the request, unless it has written.';
comment on column app.idempotency_keys.is_written is 'Set in the transaction of the request''s own write, which is therefore never repeated.';
comment on column app.idempotency_keys.status is 'Null until the request was answered.';
-- Finds expired rows, which are deleted.
create index idempotency_keys_expires_at_idx on app.idempotency_keys (expires_at);
alter table app.idempotency_keys enable row level security;
alter table app.idempotency_keys force row level security;

create unlogged table app.allowances (
    bucket text collate "C" primary key,
    began timestamptz not null,
    used int not null
);
comment on table app.allowances is
'Holds one row per address or wallet with recent requests: the allowance that it has used since its window began.';
