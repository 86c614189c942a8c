-- name: blockers
-- Transactions that finality waits for above a floor, in order of slot: held and not listed, or listed and not held. With the seconds
-- since they arrived or since fetching failed, the last error, what contradicts them, and whether a proven transaction lies between
-- the one before and this one.
with blockers as (
    select
        t.signature,
        t.slot,
        'unlisted' as kind,
        extract(epoch from clock_timestamp() - t.first_seen_at)::double precision as age_seconds,
        '' as error_kind,
        (
            select format('The first node lists it in slot %%s%%s.', s.slot, case when not s.succeeded then ' as failed' else '' end)
            from seen as s where s.commitment = 'finalized' and s.signature = t.signature
        ) as contradiction
    from raw.transactions as t
    where
        t.slot > %(floor)s and t.slot <= %(top)s and t.err is null and t.retracted_at is null
        and not exists (
            select from seen as s
            where s.commitment = 'finalized' and s.signature = t.signature and s.slot = t.slot and s.succeeded
        )
    union all
    select
        s.signature,
        s.slot,
        'unfetched' as kind,
        coalesce(extract(epoch from clock_timestamp() - w.failing_since)::double precision, 0) as age_seconds,
        coalesce(w.last_error_kind, '') as error_kind,
        (
            select format('The log holds it in slot %%s%%s.', t.slot, case when t.err is not null then ' as failed' else '' end)
            from raw.transactions as t where t.signature = s.signature and t.retracted_at is null
        ) as contradiction
    from seen as s
    left join raw.pending_signatures as w on s.signature = w.signature
    where
        s.commitment = 'finalized' and s.succeeded and s.slot > %(floor)s and s.slot <= %(top)s
        and not exists (
            select from raw.transactions as t
            where t.signature = s.signature and t.slot = s.slot and t.err is null and t.retracted_at is null
        )
),

ordered as (
    select
        b.*,
        lag(b.slot) over (order by b.slot, b.signature) as previous_slot
    from blockers as b
    where not exists (select from ops.gap_transactions as g where g.signature = b.signature and g.closed_at is null)
)

select
    o.signature,
    o.slot,
    o.kind,
    o.age_seconds,
    o.error_kind,
    coalesce(o.contradiction, ''),
    exists(
        select from raw.transactions as t
        inner join seen as s on t.signature = s.signature and t.slot = s.slot
        where
            s.commitment = 'finalized' and s.succeeded and t.err is null and t.retracted_at is null
            and t.slot > o.previous_slot and t.slot < o.slot
    )
from ordered as o
order by o.slot, o.signature;

-- name: open_transactions
-- Transactions of open gaps, the oldest slot first; those that the finalized list has now as the log has them are marked.
select
    g.signature,
    g.slot,
    g.kind,
    exists(
        select from seen as s
        where s.commitment = 'finalized' and s.signature = g.signature and s.slot = g.slot and s.succeeded
    )
from ops.gap_transactions as g
where g.closed_at is null
order by g.slot, g.signature;

-- name: close_gaps
-- Close what has been filled; returns the gaps that are closed by it.
select unnest(ops.close_gaps(%(listed)s::text []));

-- name: expired_gap_transactions
-- Transactions of open gaps that the finalized list did not have, when none of their blockhashes can still be valid.
select
    g.signature,
    g.slot
from ops.gap_transactions as g
inner join raw.retraction_candidates as c on g.signature = c.signature
where g.closed_at is null and g.kind = 'unlisted' and c.missed_at_height + %(blockhash_age)s < %(height)s
order by g.slot, g.signature;

-- name: known_markets
-- Markets with an event up to a slot, and their accounts; a final state takes no further action of a keeper.
select
    m.market_no,
    m.account
from raw.markets_seen as m
where
    exists (select from raw.events as e where e.market_no = m.market_no and e.order_key < (%(slot)s + 1) << 24)
    and not exists (
        select from raw.events as e
        where
            e.market_no = m.market_no and e.retracted_at is null and e.order_key < (raw.finalized_through() + 1) << 24
            and e.name in ('MarketFinalized', 'MarketCancelled')
    )
order by m.market_no;

-- name: may_accept
-- Whether this login may accept gaps, and its name.
select
    has_function_privilege('ops.accept_gap(bigint, bigint, text, text, jsonb, jsonb)', 'execute'),
    session_user::text;

-- name: accept_gap
-- Record that an operator accepts a gap; null if one of its transactions has been filled or accepted meanwhile.
select ops.accept_gap(%(from_slot)s, %(to_slot)s, %(who)s, %(reason)s, %(details)s, %(transactions)s);

-- name: accepted_gaps
-- Accepted gaps with who, when and why, the newest first: the open ones, or all; with their number of open transactions by kind.
select
    g.gap_no,
    g.from_slot,
    g.to_slot,
    a.at at time zone 'UTC',
    a.who,
    a.reason,
    g.closed_at at time zone 'UTC',
    count(*) filter (where o.kind = 'unlisted' and o.closed_at is null),
    count(*) filter (where o.kind = 'unfetched' and o.closed_at is null),
    count(*)
from ops.accepted_gaps as g
inner join ops.audit as a on g.audit_no = a.audit_no
inner join ops.gap_transactions as o on g.gap_no = o.gap_no
where %(shows_all)s or g.closed_at is null
group by g.gap_no, a.audit_no
order by g.gap_no desc
limit %(limit)s;

-- name: accepted_at
-- The newest accepted gap with a transaction between two slots.
select
    g.gap_no,
    a.who,
    a.at at time zone 'UTC',
    g.closed_at at time zone 'UTC'
from ops.accepted_gaps as g
inner join ops.audit as a on g.audit_no = a.audit_no
where exists (
    select from ops.gap_transactions as o
    where o.gap_no = g.gap_no and o.slot between %(from_slot)s and %(to_slot)s
)
order by g.closed_at is not null, g.gap_no desc
limit 1;

-- name: count_open
-- The number of open gaps, and of their transactions by kind.
select
    count(distinct o.gap_no),
    count(*) filter (where o.kind = 'unlisted'),
    count(*) filter (where o.kind = 'unfetched')
from ops.gap_transactions as o
where o.closed_at is null;
