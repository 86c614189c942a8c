-- Statements of zmart/run/export/importer.py.

-- name: lock_log
-- Wait for the right to append, at most five seconds.
select raw.take_writer();

-- name: last_value
-- The end of the chain and its value; no row in an empty log.
select
    c.last_seq,
    encode(c.value, 'hex')
from raw.commits as c
order by c.last_seq desc
limit 1;

-- name: create_imported
-- The rows of the segment that is imported.
create temporary table imported (
    seq bigint primary key,
    kind text,
    ref bigint,
    at timestamptz,
    market_no int,
    market_account text collate "C",
    market_id text collate "C",
    wallet_no int,
    wallet text collate "C",
    digest text,
    event_seq bigint,
    name text collate "C",
    ordinal int,
    clock bigint,
    payload jsonb,
    context jsonb,
    position bigint,
    retracted_at timestamptz,
    transaction_no bigint,
    signature text collate "C",
    slot bigint,
    index_in_block int,
    is_order_final boolean,
    block_time timestamptz,
    fee_lamports numeric(20, 0),
    transaction_digest text,
    first_seen_at timestamptz,
    transaction_retracted_at timestamptz,
    ballot_kind text collate "C",
    vote boolean,
    cast_at timestamptz,
    leaf_digest text
) on commit drop;

-- name: copy_entries_in
-- Receive the rows of the segment.
copy imported from stdin (format csv);

-- name: add_markets
-- Markets with the numbers that they have in the exporting database; an id may be learned later than the account.
insert into raw.markets_seen (market_no, account, market_id)
select
    i.market_no,
    max(i.market_account),
    max(i.market_id)
from imported as i
where i.market_no is not null
group by i.market_no
on conflict (market_no) do update set market_id = coalesce(raw.markets_seen.market_id, excluded.market_id);

-- name: add_wallets
-- Wallets with the numbers that they have in the exporting database.
insert into raw.wallets_seen (wallet_no, wallet)
select
    i.wallet_no,
    max(i.wallet)
from imported as i
where i.wallet_no is not null
group by i.wallet_no
on conflict (wallet_no) do nothing;

-- name: correct_events
-- Events of earlier segments that were moved or retracted since; the last entry about an event counts.
update raw.events as e set
    order_key = c.position,
    retracted_at = c.retracted_at,
    context = c.context
from (
    select distinct on (i.event_seq)
        i.event_seq,
        i.position,
        i.retracted_at,
        i.context
    from imported as i
    where i.kind in ('moved', 'retracted') and i.event_seq is not null
    order by i.event_seq asc, i.seq desc
) as c
where e.seq = c.event_seq;

-- name: add_transactions
-- Transactions of the events, as the last entry about them has them.
insert into raw.transactions (
    transaction_no, signature, slot, index_in_block, order_settled, block_time, fee_lamports, digest, first_seen_at,
    retracted_at
)
select distinct on (i.transaction_no)
    i.transaction_no,
    i.signature,
    i.slot,
    i.index_in_block,
    i.is_order_final,
    i.block_time,
    i.fee_lamports,
    decode(i.transaction_digest, 'hex'),
    i.first_seen_at,
    i.transaction_retracted_at
from imported as i
where i.transaction_no is not null
order by i.transaction_no asc, i.seq desc
on conflict (transaction_no) do update set
slot = excluded.slot, index_in_block = excluded.index_in_block, order_settled = excluded.order_settled,
block_time = excluded.block_time, retracted_at = excluded.retracted_at, digest = excluded.digest;

-- name: add_events
-- The events of the segment; a later entry of it about the same event has its newer place.
insert into raw.events (
    seq, order_key, transaction_no, ordinal, name, market_no, wallet_no, clock, payload, context, retracted_at
)
select
    i.seq,
    coalesce(c.position, i.position),
    i.transaction_no,
    i.ordinal,
    i.name,
    i.market_no,
    i.wallet_no,
    i.clock,
    i.payload,
    coalesce(c.context, i.context),
    coalesce(c.retracted_at, i.retracted_at)
from imported as i
left join (
    select distinct on (j.event_seq)
        j.event_seq,
        j.position,
        j.context,
        j.retracted_at
    from imported as j
    where j.kind in ('moved', 'retracted')
    order by j.event_seq asc, j.seq desc
) as c on i.seq = c.event_seq
where i.kind = 'event'
order by i.seq;

-- name: ballots
-- The ballots of the segment that were cast through the API.
select
    i.seq,
    i.wallet
from imported as i
where i.kind = 'ballot' and i.ballot_kind is not null
order by i.seq;

-- name: add_ballot
-- One of these ballots. The files do not hold its signed text.
insert into app.ballots (seq, market_no, kind, wallet_no, vote, cast_at, message, signature)
select
    i.seq,
    i.market_no,
    i.ballot_kind,
    i.wallet_no,
    i.vote,
    i.cast_at,
    '',
    ''
from imported as i
where i.seq = %(seq)s;

-- name: append_entries
-- One append with its entries, in their order.
select
    raw.append_entries(
        array_agg(i.kind order by i.seq), array_agg(i.ref order by i.seq), array_agg(i.market_no order by i.seq),
        array_agg(i.wallet_no order by i.seq),
        array_agg(
            case
                when i.kind not in ('retracted', 'moved', 'finalized_through', 'mart_stale') then decode(i.leaf_digest, 'hex')
            end
            order by i.seq
        )
    )
from imported as i
where i.seq between %(first)s and %(last)s;

-- name: set_times
-- The times at which the exporting database appended the entries.
update raw.feed as f set at = i.at
from imported as i
where f.seq = i.seq;

-- name: drop_imported
-- The rows of the segment are not needed any more.
drop table imported;
