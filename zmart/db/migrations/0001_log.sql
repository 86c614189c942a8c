-- The log: what the chain said and what people wrote, in the order in which it was committed here.
--
-- One writer at a time holds raw.writer. It takes max(seq) + 1, appends, folds, rings the doorbell and commits; so
-- raw.feed.seq has no gap and its order is the order of commits. A reader that has seen n needs only `seq > n`.

create schema raw;
comment on schema raw is 'The append-only log. Everything else can be made again from it.';

-- Held in EXCLUSIVE MODE by whoever appends. A table, not an advisory lock: only roles that may update it can take it.
create table raw.writer (
    held boolean primary key
);
comment on table raw.writer is 'Always empty; its lock is the right to append to the log.';

create table raw.identity (
    only_row boolean primary key default true check (only_row),
    epoch uuid not null default gen_random_uuid(),
    system_identifier bigint not null,
    timeline int not null,
    database_oid oid not null,
    genesis_hash text collate "C",
    program_id text collate "C",
    began_at timestamptz not null default clock_timestamp()
);
comment on table raw.identity is
'Which log this is. A restored or reset database is another epoch, and positions of the old one mean nothing in it.';

create function raw.renew_identity() returns uuid
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    v_epoch uuid;
begin
    insert into raw.identity (system_identifier, timeline, database_oid)
    select s.system_identifier, c.timeline_id, d.oid
    from pg_control_system() as s, pg_control_checkpoint() as c, pg_database as d
    where d.datname = current_database()
    on conflict (only_row) do update
    set epoch = gen_random_uuid(), system_identifier = excluded.system_identifier,
        timeline = excluded.timeline, database_oid = excluded.database_oid, began_at = clock_timestamp()
    where
        (identity.system_identifier, identity.timeline, identity.database_oid)
        is distinct from (excluded.system_identifier, excluded.timeline, excluded.database_oid);
    select epoch into v_epoch from raw.identity;
    return v_epoch;
end
$$;
comment on function raw.renew_identity is
'The epoch of this log; a new one in another database, on another server, or after a restore to another timeline. Called at each deploy.';

create table raw.feed (
    seq bigint primary key check (seq > 0),
    kind text collate "C" not null check (kind in (
        'event', 'retracted', 'moved', 'finalized_through', 'ballot', 'comment', 'reaction', 'metadata', 'mart_stale'
    )),
    ref bigint,
    market_no int,
    wallet_no int,
    at timestamptz not null default clock_timestamp()
);
-- The few facts that undo or move earlier ones, so that a window without any costs nothing.
create index feed_corrections on raw.feed (seq) where kind in ('retracted', 'moved');
comment on table raw.feed is 'One row per fact a reader can learn, gap-free, in commit order.';
comment on column raw.feed.ref is
'event: null (the row of raw.events has the same seq). retracted, moved: seq of the event. finalized_through: slot. Others: key of the app row.';

create table raw.markets_seen (
    market_no int primary key,
    account text collate "C" not null unique,
    market_id text collate "C" unique check (market_id ~ '^[0-9a-f]{64}$')
);
comment on table raw.markets_seen is
'One row per market account ever named. market_id is null while only WinningsClaimed, which carries the account alone, has named it (protocol.md 1.7).';

create table raw.wallets_seen (
    wallet_no int primary key,
    wallet text collate "C" not null unique
);
comment on table raw.wallets_seen is 'One row per wallet ever named by an event or by a person.';

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
    retracted_at timestamptz
);
alter table raw.transactions alter column body set storage external;
create index on raw.transactions (slot);
comment on table raw.transactions is 'One row per signature: what was delivered, byte for byte.';
comment on column raw.transactions.index_in_block is 'Null while unknown; the order of its events is then provisional.';
comment on column raw.transactions.body is
'The delivered JSON, zlib-compressed. bytea, because a log line may hold U+0000, which jsonb cannot. The only column of the log that may age out.';
comment on column raw.transactions.digest is 'SHA-256 of (slot, err, log lines): two deliveries are duplicates when these agree.';
comment on column raw.transactions.sightings is 'How often each source has delivered it, for example {"webhook": 2}.';

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
-- An event is applied once: a transaction that comes back after a retraction gets new rows, never a second live one.
create unique index events_live on raw.events (transaction_no, ordinal) where retracted_at is null;
create index on raw.events (market_no, order_key);
create index on raw.events (wallet_no, market_no, order_key);
-- By place on chain alone: a late configuration finds the trades after it; as-of-slot reads.
create index on raw.events (order_key);
-- The few events that concern the whole protocol, by seq: so that a window without any costs nothing.
create index events_protocol on raw.events (seq) where market_no is null;
comment on table raw.events is 'One row per event of the program, keyed by (transaction, ordinal); seq is its place in the feed.';
comment on column raw.events.order_key is 'Place on chain: slot << 24 | index in block << 9 | ordinal.';
comment on column raw.events.clock is 'The event''s own timestamp: Unix seconds of the chain''s Clock.';
comment on column raw.events.payload is 'The event''s other fields as the program wrote them; 64-bit integers as strings.';
comment on column raw.events.context is
'What the event omits, read from the same transaction: instruction arguments and the market account''s lamports. Null where absent.';

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
comment on table raw.dead_letters is 'What could not be used, kept with its bytes and the reason until someone retries it.';

create table raw.accounts (
    account text collate "C" not null,
    slot bigint not null,
    kind text collate "C" not null,
    lamports numeric(20, 0) not null,
    data bytea not null,
    read_at timestamptz not null default clock_timestamp(),
    primary key (account, slot)
);
comment on table raw.accounts is 'Accounts as an RPC showed them at a slot. For reconciliation alone; folds never read it.';

create table raw.coverage (
    source text collate "C" not null,
    from_slot bigint not null,
    to_slot bigint not null,
    successful_transactions bigint not null,
    digest bytea not null,
    proven_at timestamptz not null default clock_timestamp(),
    primary key (source, from_slot),
    check (from_slot <= to_slot)
);
comment on table raw.coverage is 'Slot ranges proven complete, per source, with the count and digest of their successful signatures.';

create table raw.wanted (
    signature text collate "C" primary key,
    reason text collate "C" not null,
    attempts int not null default 0,
    wanted_at timestamptz not null default clock_timestamp(),
    next_attempt_at timestamptz not null default clock_timestamp()
);
comment on table raw.wanted is 'Signatures we were told of without their logs; they are still to be fetched.';
