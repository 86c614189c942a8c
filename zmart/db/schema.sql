-- The schema as it is: schemas, tables, constraints, indexes, views and grants.
--
-- `zmart migrate` gives a new database this file, and an older one the numbered files of zmart/db/migrations; a test
-- compares the two results. Functions are in zmart/db/functions, policies in zmart/db/policies.sql. Marts and their
-- functions are made by dbt (sql_models).
--
-- One process at a time holds raw.writer. It takes max(seq) + 1, appends, folds, notifies and commits. So raw.feed.seq
-- has no gap, its order is the order of commits, and a reader that has read n needs only `seq > n`.

-- Postgres grants EXECUTE to everyone on creation. Here each function's file names its roles, and nobody else has it.
alter default privileges revoke execute on functions from public;

create schema raw;
comment on schema raw is 'The append-only log. Everything else can be made again from it.';
grant usage on schema raw to zmart_ingest, zmart_keeper, zmart_api, analyst;

create schema log;
comment on schema log is 'The log for analysts and checks. Tables in raw may change; these views do not.';
grant usage on schema log to zmart_ingest, zmart_keeper, zmart_api, analyst;

create schema ops;
comment on schema ops is 'How the system itself is doing.';
grant usage on schema ops to zmart_ingest, zmart_keeper, zmart_api, analyst;

create schema app;
comment on schema app is 'What people wrote here rather than on chain.';
grant usage on schema app to zmart_api;

create schema folds;
comment on schema folds is 'Generated functions that merge a window of the log into the folded marts.';
grant usage on schema folds to zmart_ingest;

create schema marts;
comment on schema marts is 'What readers read: markets, trades, positions, ballots and what follows from them.';
grant usage on schema marts to zmart_ingest, zmart_keeper, zmart_api, analyst;
alter default privileges in schema marts grant select on tables to zmart_ingest, zmart_keeper, zmart_api, analyst;

create schema lmsr;
comment on schema lmsr is
'The program''s market maker, bit for bit: exp, ln, cost, price_yes, proceeds (protocol.md 2).';
grant usage on schema lmsr to zmart_ingest, zmart_keeper, zmart_api, analyst;

-- Dagster makes and migrates its own tables. Its processes log in as the keeper and write nowhere else.
create schema dagster;
comment on schema dagster is 'Dagster''s own storage; its tables belong to Dagster.';
grant usage, create on schema dagster to zmart_keeper;

-- ---- schema raw -------------------------------------------------------------------------------------------------

create table raw.writer (
    held boolean primary key
);
comment on table raw.writer is
'Always empty; its lock is the right to append to the log.';
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
    feed_oid oid
);
comment on table raw.identity is
'Which log this is. A restored or reset database is another epoch, and positions of the old one mean nothing in it.';
comment on column raw.identity.feed_oid is 'The table raw.feed itself: a restored one has another oid.';
grant select on raw.identity to zmart_ingest, zmart_keeper, zmart_api, analyst;
grant update (genesis_hash, program_id) on raw.identity to zmart_ingest;

create table raw.feed (
    seq bigint primary key check (seq > 0),
    kind text collate "C" not null check (kind in (
        'event', 'retracted', 'moved', 'finalized_through', 'ballot', 'comment', 'reaction', 'metadata', 'mart_stale'
    )),
    ref bigint,
    market_no int,
    wallet_no int,
    at timestamptz not null default clock_timestamp(),
    digest bytea check (length(digest) = 32)
);
comment on table raw.feed is
'One row per fact a reader can learn, gap-free, in commit order.';
comment on column raw.feed.ref is
'event: null (the row of raw.events has the same seq). retracted, moved: seq of the event. finalized_through: slot. Others: key of the app row.';
comment on column raw.feed.digest is
'ballot, comment, reaction, metadata: SHA-256 of the text at that time, so that the text may be erased later. Null for other kinds.';
-- The few facts that retract or move earlier ones, so that a window without any costs nothing.
create index feed_corrections on raw.feed (seq) where kind in ('retracted', 'moved');
-- The watermark of finality, without reading the feed.
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
'One row per market account ever named. market_id is null while only WinningsClaimed, which carries the account alone, has named it (protocol.md 1.7).';
grant select, insert, update on raw.markets_seen to zmart_ingest;
grant select on raw.markets_seen to zmart_keeper, zmart_api, analyst;

create table raw.wallets_seen (
    wallet_no int primary key,
    wallet text collate "C" not null unique
);
comment on table raw.wallets_seen is
'One row per wallet ever named by an event or by a person.';
grant select, insert, update on raw.wallets_seen to zmart_ingest;
grant select on raw.wallets_seen to zmart_keeper, zmart_api, analyst;

create table raw.transactions (
    transaction_no bigint primary key,
    signature text collate "C" not null unique,
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
    bundle_length int
);
alter table raw.transactions alter column body set storage external;
comment on table raw.transactions is
'One row per signature: what was delivered, byte for byte.';
comment on column raw.transactions.index_in_block is 'Null while unknown; the order of its events is then provisional.';
comment on column raw.transactions.body is
'The delivered JSON by itself, zlib-compressed, where it is in no bundle. bytea, because a log line may hold U+0000, which jsonb cannot. May age out.';
comment on column raw.transactions.digest is
'SHA-256 of (slot, err, log lines): two deliveries are duplicates when these agree.';
comment on column raw.transactions.sightings is 'How often each source has delivered it, for example {"webhook": 2}.';
comment on column raw.transactions.bundle_no is
'The row of raw.bundles that holds the delivered JSON; null where body does. No foreign key, because bundles may age out.';
comment on column raw.transactions.bundle_start is 'Where it begins, in bytes of the decompressed bundle.';
comment on column raw.transactions.bundle_length is 'How many bytes it has.';
-- The transactions of a slot: completeness walks, order conflicts and retractions.
create index transactions_slot_idx on raw.transactions (slot);
-- Transactions whose order in their slot is still to be resolved.
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
    signature text collate "C" not null,
    payload jsonb not null,
    context jsonb,
    retracted_at timestamptz
);
comment on table raw.events is
'One row per event of the program, keyed by (transaction, ordinal); seq is its place in the feed.';
comment on column raw.events.order_key is 'Place on chain: slot << 24 | index in block << 9 | ordinal.';
comment on column raw.events.clock is 'The event''s own timestamp: Unix seconds of the chain''s Clock.';
comment on column raw.events.payload is
'The event''s other fields as the program wrote them; 64-bit integers as strings.';
comment on column raw.events.context is
'What the event omits, read from the same transaction: instruction arguments and the market account''s lamports. Null where absent.';
-- An event is applied once: a transaction that lands again after a retraction gets new rows, never a second live row.
create unique index events_live on raw.events (transaction_no, ordinal) where retracted_at is null;
-- The history of a market in chain order: refolds, and sells whose gross follows from earlier totals.
create index events_market_no_order_key_idx on raw.events (market_no, order_key);
-- The history of a wallet in one market: positions and their average cost.
create index events_wallet_no_market_no_order_key_idx on raw.events (wallet_no, market_no, order_key);
-- Order on chain alone: a late configuration finds the trades after it; reads as of a slot.
create index events_order_key_idx on raw.events (order_key);
-- The few events of the whole protocol, so that a window without any costs nothing.
create index events_protocol on raw.events (seq) where market_no is null;
-- Creations alone, for the liquidity parameter b of a market.
create index events_creations on raw.events (market_no) where name = 'MarketCreated';
-- A wallet's newest events in all markets; without it each page sorts all of a busy wallet's rows.
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
'What could not be used, kept with its bytes and the reason until someone retries it.';
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
'Accounts as an RPC showed them at a slot. For reconciliation alone; folds never read it.';
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
'Slot ranges proven complete, per source, with the count and digest of their successful signatures.';
-- raw.verified_through without reading all proofs.
create index coverage_proven on raw.coverage (source, to_slot);
grant select, insert, update on raw.coverage to zmart_ingest;
grant select on raw.coverage to zmart_keeper, zmart_api, analyst;

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
'Signatures we were told of without their logs; they are still to be fetched.';
comment on column raw.pending_signatures.reason is
'walk, backfill: listed by the chain. differs: two deliveries disagree and the finalized chain decides. retry: a person asked. Anything else: who named it.';
comment on column raw.pending_signatures.slot is
'Where the chain lists it, so that the oldest is fetched first; null where only a delivery named it.';
comment on column raw.pending_signatures.last_error is 'Why the last attempt did not bring it.';
comment on column raw.pending_signatures.failing_since is
'When the first attempt brought nothing; null before an attempt.';
comment on column raw.pending_signatures.last_error_kind is
'The kind of the last error (a class of zmart.chain.rpc_errors); Unknown where no node knows the signature.';
grant select, insert, update, delete on raw.pending_signatures to zmart_ingest;
grant select on raw.pending_signatures to zmart_keeper, zmart_api, analyst;

create table raw.retraction_candidates (
    signature text collate "C" primary key,
    slot bigint not null,
    missed_at_height bigint not null,
    missed_at timestamptz not null default clock_timestamp()
);
comment on table raw.retraction_candidates is
'Transactions of ours that the finalized history does not list. They are retracted only when that is proven, and end here when it lists them after all.';
comment on column raw.retraction_candidates.missed_at_height is
'Finalized block height when it was first missed; 150 blocks later its blockhash is dead for certain.';
grant select, insert, update, delete on raw.retraction_candidates to zmart_ingest;
grant select on raw.retraction_candidates to zmart_keeper, zmart_api, analyst;

create table raw.bundles (
    bundle_no bigint primary key,
    content bytea not null
);
alter table raw.bundles alter column content set storage external;
comment on table raw.bundles is
'What was delivered, byte for byte: transactions of one batch behind each other, zlib-compressed. The only rows of the log that may age out.';
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
'retracted, moved: seq of the event. finalized_through: slot. comment, reaction: number of the comment. Null for events.';
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
    t.retracted_at
from raw.transactions as t;
comment on view log.transactions is 'One row per transaction of the program, failed and retracted ones included.';
comment on column log.transactions.is_order_final is 'Whether its index in the block is known from the chain.';
comment on column log.transactions.err is 'The error as JSON, null for success.';
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
'One row per folded model. One that follows the log has no applied_seq. One that is behind stopped at applied_seq, for reason, and is retried. A stale one (stale_since) waits for a rebuild.';
comment on column ops.models.listens_to is 'Event names and feed kinds that change it; a window without any skips it.';
comment on column ops.models.fold_sql is
'The model''s compiled select; the marker in it stands for the window of the log.';
comment on column ops.models.merge_sql is 'How a window''s partial result is merged into /*target*/.';
comment on column ops.models.scope_columns is 'Columns, in log and mart alike, that say which rows an event touches.';
comment on column ops.models.indexes is
'The indexes that the model asks for, as Postgres writes them after USING; null before it was installed with them.';
comment on column ops.models.staged_as is
'The step it shares with other models: a type in folds for its rows and a function of that name for those of a window; null where it shares none.';
comment on column ops.models.staged_sql is
'The select of that step, word for word as it stands in fold_sql and merge_sql.';
comment on column ops.models.behind_since is 'When it stopped following the log; null while it follows.';
comment on column ops.models.attempts is
'Attempts that failed, less those that made progress: the pause grows with it, and the window of an attempt shrinks.';
comment on column ops.models.data_failures is
'Attempts that failed for another reason than the environment; the third makes the model stale.';
comment on column ops.models.next_attempt_at is 'When it is tried again.';
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
comment on view ops.model_status is
'Each folded model and the seq it answers for.';
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
'One row per action a keeper decided on; open until our own log shows its event, finalized.';
comment on column ops.intents.plan is 'What was known and proven when it was decided.';
comment on column ops.intents.state is
'planned: decided, nothing signed that could land. sent: signed bytes are stored and may land. landed: a node says so; our log does not yet, or not finally. done: our log holds the event, finalized. refused: given up for a reason. quarantined: three attempts failed, a person looks. reopened: it was done and the chain took it back.';
comment on column ops.intents.attempts is 'Submissions that ended without success.';
comment on column ops.intents.outcome is 'How it ended, or what last kept it from ending: kind, words, signature.';
-- Two open intents for one action of one market would send twice. A quarantined one stays open until an operator releases it.
create unique index intents_open on ops.intents (market_no, action)
where state in ('planned', 'sent', 'landed', 'reopened', 'quarantined');
-- The newest intents of a market and action.
create index intents_market on ops.intents (market_no, action, intent_no desc);
-- Intents that a keeper still works on.
create index intents_unclosed on ops.intents (intent_no) where state in ('planned', 'sent', 'landed', 'reopened');
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
comment on table ops.submissions is
'Signed bytes, stored before they are sent.';
comment on column ops.submissions.ending is
'landed: succeeded on chain. failed: on chain, finalized, and refused there. expired: can never land. Null: may still land.';
comment on column ops.submissions.fee_lamports is 'What landing costs its payer, priority included.';
comment on column ops.submissions.slot is 'Where a node said that it landed.';
-- While signed bytes may still land there are no others: the last guard against a second send.
create unique index submissions_open on ops.submissions (intent_no) where ending is null;
-- The day's budget.
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
comment on table ops.snapshots is
'One row per market and UTC day whose discussion was anchored.';
comment on column ops.snapshots.previous_cid is
'The CIDv0 of the market''s anchored day before, as the document names it.';
comment on column ops.snapshots.comments_count is 'Comments in the document: written, edited or deleted that day.';
comment on column ops.snapshots.published_at is 'When a node held it under this name and it was read back.';
comment on column ops.snapshots.pinned_at is 'When the second service said it keeps it; null without one, or not yet.';
-- Documents are requested by either spelling of their CID.
create index snapshots_v0 on ops.snapshots (cid_v0);
-- The CIDv1 spelling.
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
'What a person should look at, deduplicated by (kind, subject) while open.';
comment on column ops.alerts.acknowledged_at is 'When a person said that they look after it; it stays open, and quiet.';
comment on column ops.alerts.acknowledged_by is 'Who, as they call themselves.';
comment on column ops.alerts.posted_at is 'When it was last posted to ALERT_WEBHOOK_URL; null while it was not.';
comment on column ops.alerts.resolution_posted_at is 'When it was posted that it is over.';
comment on column ops.alerts.refusals is 'How often in a row ALERT_WEBHOOK_URL did not accept it; 0 once it does.';
comment on column ops.alerts.refused_at is 'When that happened last.';
comment on column ops.alerts.refusal is 'The last answer, or the error where there was none.';
-- A repeated alert is one open row that counts.
create unique index alerts_open on ops.alerts (kind, subject) where resolved_at is null;
grant select on ops.alerts to zmart_ingest, zmart_api, analyst;
grant select, insert, update on ops.alerts to zmart_keeper;

create table ops.cursors (
    name text collate "C" primary key,
    value jsonb not null,
    moved_at timestamptz not null default clock_timestamp()
);
comment on table ops.cursors is
'Where a walker or sensor stood.';
grant select, insert, update on ops.cursors to zmart_ingest, zmart_keeper;
grant select on ops.cursors to zmart_api, analyst;

create table ops.leases (
    name text collate "C" primary key,
    holder text not null,
    epoch bigint not null default 1,
    expires_at timestamptz not null
);
comment on table ops.leases is
'Who may act alone, and the epoch stamped into what they do.';
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

create table ops.settings (
    name text collate "C" primary key,
    value bigint not null,
    meaning text not null
);
comment on table ops.settings is
'Settings that views need; written from the environment at deploy.';
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
'One row per scheduled mart: what it computes, and the seq that its rows answer for.';
comment on column ops.scheduled_models.select_sql is 'The model''s compiled select, with all columns of the mart.';
comment on column ops.scheduled_models.reads is
'Marts it is computed from, through views and staging models; one that is behind holds it back.';
comment on column ops.scheduled_models.applied_seq is 'The rows say what the log said up to this seq.';
comment on column ops.scheduled_models.seconds is 'How long the last refresh took.';
comment on column ops.scheduled_models.changed_rows is 'Rows that the last refresh wrote.';
comment on column ops.scheduled_models.indexes is
'The indexes that the model asks for, as Postgres writes them after USING.';
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
'Marts that may be behind the log, and the seq they answer for: stale folds, and every scheduled mart.';
grant select on ops.model_position to zmart_ingest, zmart_keeper, zmart_api, analyst;

create table ops.uncompared_accounts (
    account text collate "C" primary key check (account <> ''),
    since timestamptz not null default clock_timestamp(),
    reason text not null
);
comment on table ops.uncompared_accounts is
'Markets that the newest check of the program''s accounts did not compare; kept by the check accounts_equal_folds.';
comment on column ops.uncompared_accounts.account is
'Address of the market''s account, or config for the configuration.';
comment on column ops.uncompared_accounts.since is
'When the first of the checks ran that missed it one after the other.';
comment on column ops.uncompared_accounts.reason is 'Why the newest did.';
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
comment on table app.wallets is
'One row per wallet that said something about itself.';
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
    primary key (market_id, wallet_no)
);
comment on table app.market_metadata is
'One row per market and wallet that told its question; that of its creator counts. Events carry none (protocol.md 1.4.2).';
-- Search by words.
create index market_metadata_words on app.market_metadata using gin (search);
-- Search by parts of words. The extension may be in any schema.
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

create table app.ballots (
    seq bigint primary key,
    market_no int not null references raw.markets_seen,
    kind text collate "C" not null check (kind in ('proposal', 'dispute')),
    wallet_no int not null references raw.wallets_seen,
    vote boolean not null,
    cast_at timestamptz not null default clock_timestamp(),
    message text not null,
    signature text collate "C" not null,
    unique (market_no, kind, wallet_no)
);
comment on table app.ballots is
'One row per ballot cast through the API. vote: proposal like, dispute agree.';
alter table app.ballots enable row level security;
alter table app.ballots force row level security;
grant select on app.ballots to zmart_api;

create table app.comments (
    comment_no bigint generated always as identity primary key,
    seq bigint not null unique,
    market_no int not null references raw.markets_seen,
    wallet_no int not null references raw.wallets_seen,
    parent_no bigint references app.comments,
    content text not null check ((length(btrim(content)) > 0) and (length(content) <= 1000)),
    created_at timestamptz not null default clock_timestamp(),
    edited_at timestamptz,
    deleted_at timestamptz,
    root_no bigint references app.comments,
    constraint comments_root_check check ((parent_no is null) = (root_no is null))
);
comment on table app.comments is
'One row per post under a market; a reply names its parent.';
comment on column app.comments.root_no is 'The post that began the thread; null for that post itself.';
-- Comments of a market, newest first.
create index comments_market_no_created_at_idx on app.comments (market_no, created_at desc);
-- Comments of a wallet, newest first.
create index comments_wallet_no_created_at_idx on app.comments (wallet_no, created_at desc);
-- Replies to a comment.
create index comments_parent_no on app.comments (parent_no) where parent_no is not null;
-- A page of a market's threads.
create index comments_threads on app.comments (market_no, comment_no desc) where root_no is null;
-- A page of all of a market's comments.
create index comments_newest on app.comments (market_no, comment_no desc);
-- The replies of a thread.
create index comments_replies on app.comments (root_no, comment_no) where root_no is not null;
-- Comments of a UTC day, for its snapshot.
create index comments_when on app.comments (created_at);
-- Deletions of a UTC day, for its snapshot.
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
comment on table app.comment_edits is
'What a comment said before each edit.';
-- Edits of a UTC day, for its snapshot.
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
comment on table app.reactions is
'One row per wallet and comment it has an opinion on.';
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
comment on table app.flags is
'One row per wallet and comment it reported.';
-- A wallet's own flags.
create index flags_of on app.flags (wallet_no);
alter table app.flags enable row level security;
alter table app.flags force row level security;
grant select on app.flags to zmart_api;

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
comment on table app.sessions is
'One row per refresh token, hashed; used once, then replaced.';
comment on column app.sessions.family_id is 'The signing in that this token descends from.';
-- A family is revoked as a whole.
create index sessions_family_id_idx on app.sessions (family_id);
-- Expired sessions, to delete.
create index sessions_expires_at_idx on app.sessions (expires_at);
-- The foreign key, when a session is deleted.
create index sessions_replaced_by_idx on app.sessions (replaced_by);
alter table app.sessions enable row level security;
alter table app.sessions force row level security;
grant select on app.sessions to zmart_api;

create table app.redeemed_nonces (
    nonce text collate "C" primary key,
    wallet_no int not null references raw.wallets_seen,
    redeemed_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null
);
comment on table app.redeemed_nonces is
'Nonces that were used. The primary key makes the second use fail.';
-- Expired nonces, to delete.
create index redeemed_nonces_expires_at_idx on app.redeemed_nonces (expires_at);
alter table app.redeemed_nonces enable row level security;
alter table app.redeemed_nonces force row level security;
grant select on app.redeemed_nonces to zmart_api;

create unlogged table app.allowances (
    bucket text collate "C" primary key,
    began timestamptz not null,
    used int not null
);
comment on table app.allowances is
'One row per address or wallet that asked lately: what it used since its window began.';
