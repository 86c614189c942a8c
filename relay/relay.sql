-- Statements of the relay, which publishes the log on a bus.

-- name: window
-- Return the epoch, the end of the log with its mark, the mark of the position itself, and the first entries after it as messages;
-- one row without an entry when there is none.
with entries as materialized (
    select
        n.seq,
        n.kind,
        n.ref,
        n.market_id,
        n.market_account,
        n.wallet,
        n.at
    from log.feed as n
    where n.seq > %(after)s
    order by n.seq
    limit %(max_entries)s
)

select
    i.epoch::text,
    h.seq,
    raw.mark_of(h.seq),
    raw.mark_of(%(after)s),
    f.seq,
    raw.mark_of(f.seq),
    f.kind,
    f.market_account,
    f.at,
    jsonb_build_object(
        'kind', f.kind,
        'ref', f.ref,
        'market_id', f.market_id,
        'market', f.market_account,
        'wallet', f.wallet,
        'at', f.at
    )::text,
    e.body
from raw.identity as i
cross join (select coalesce(max(r.seq), 0) as seq from raw.feed as r) as h
left join entries as f on true
left join lateral (
    select jsonb_build_object(
        'seq', e.seq,
        'name', e.name,
        'slot', e.slot,
        'place', e.position::text,
        'signature', e.signature,
        'ordinal', e.ordinal,
        'clock', e.clock,
        'payload', e.payload,
        'context', e.context,
        'retracted_at', e.retracted_at
    )::text as body
    from log.events as e
    where e.seq = case f.kind when 'event' then f.seq when 'retracted' then f.ref when 'moved' then f.ref end
) as e on true
order by f.seq;

-- name: listen
-- Receive the notification that every appending transaction sends.
listen zmart_feed;

-- name: last_place
-- Return the place on the bus that the relay stored last: the stream's creation, its sequence, and the position in the log.
select
    c.value ->> 'created',
    (c.value ->> 'sequence')::bigint,
    c.value ->> 'position'
from ops.cursors as c
where c.name = 'relay ' || %(stream)s;

-- name: store_place
-- Store the place that the relay has reached on the bus.
select ops.store_relay_place(%(stream)s, %(created)s, %(sequence)s, %(position)s);
