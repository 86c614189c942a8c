-- Chains the log: one SHA-256 for each append, over its entries and the value before. History is sealed by `zmart audit
-- --seal` and by `zmart migrate`, in steps, while reading and ingest go on.

create table raw.commits (
    first_seq bigint not null check (first_seq > 0),
    last_seq bigint primary key,
    value bytea not null check (length(value) = 32),
    check (first_seq <= last_seq)
);
alter table raw.feed add column digest bytea check (length(digest) = 32);
-- Entries of before have the digest of their text as it is now. In an upgrade from 0027 there are no policies at this point.
alter table app.ballots no force row level security;
alter table app.comments no force row level security;
update raw.feed as f
set digest = sha256(convert_to(coalesce(
    case f.kind
        when 'ballot' then (select b.message || E'\n' || b.signature from app.ballots as b where b.seq = f.seq)
        when 'comment' then (select c.content from app.comments as c where c.comment_no = f.ref and c.deleted_at is null)
    end, ''
), 'UTF8'))
where f.kind in ('ballot', 'comment', 'reaction', 'metadata');
alter table app.ballots force row level security;
alter table app.comments force row level security;

-- raw.verified_through without reading all proofs.
create index coverage_proven on raw.coverage (source, to_slot);

create schema log;
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

create view log.commits as
select
    c.first_seq,
    c.last_seq,
    encode(c.value, 'hex') as value,
    encode(substr(c.value, 1, 8), 'hex') as mark
from raw.commits as c;

-- These gain a parameter; their files define them again. In an older database the last has another name.
drop function if exists raw.append, raw.append_events, raw.renew_identity, app.append_comment_entry;

-- Entries are appended by raw.append_entries alone, which chains them.
revoke insert, update on raw.feed from zmart_ingest;
grant select on raw.commits to zmart_ingest, zmart_keeper, zmart_api, analyst;
grant usage on schema log to zmart_ingest, zmart_keeper, zmart_api, analyst;
grant select on log.feed, log.events, log.transactions, log.commits to zmart_ingest, zmart_keeper, zmart_api, analyst;

comment on table raw.commits is
'One row per append of entries: the SHA-256 of the value before and of a leaf for each entry. `zmart audit` computes it again.';
comment on column raw.commits.first_seq is 'The first entry of the append; the row before ends at the entry before.';
comment on column raw.commits.last_seq is 'The last entry of the append.';
comment on column raw.commits.value is
'SHA-256 of the value before (32 zero bytes at the beginning) followed by the leaves in order of seq; see raw.leaf.';
comment on column raw.feed.digest is
'ballot, comment, reaction, metadata: SHA-256 of the text at that time, so that the text may be erased later. Null for other kinds.';
comment on schema log is 'The log for analysts and checks. Tables in raw may change; these views do not.';
comment on view log.feed is 'One row per fact in the order in which it was committed; see raw.feed.';
comment on column log.feed.ref is
'retracted, moved: seq of the event. finalized_through: slot. comment, reaction: number of the comment. Null for events.';
comment on view log.events is 'One row per event of the program, retracted ones included.';
comment on column log.events.position is 'Place on chain, to sort by: slot << 24 | index in block << 9 | ordinal.';
comment on column log.events.clock is 'The event''s own timestamp, Unix seconds of the chain''s clock.';
comment on column log.events.payload is 'The event''s other fields as the program wrote them; 64-bit integers as strings.';
comment on column log.events.context is 'Data of the same transaction that the event omits; null where absent.';
comment on column log.events.retracted_at is 'When the chain was proven not to hold the event; null while it counts.';
comment on view log.transactions is 'One row per transaction of the program, failed and retracted ones included.';
comment on column log.transactions.is_order_final is 'Whether its index in the block is known from the chain.';
comment on column log.transactions.err is 'The error as JSON, null for success.';
comment on view log.commits is 'One row per append: its range of entries, its chain value, and the mark of positions in it.';
