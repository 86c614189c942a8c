-- Statements of zmart/run/audit.

-- name: head
-- The end of the log, the end of its chain and the chain's last value (null where nothing is sealed), and the last entry
-- that may be without a chain.
select
    i.epoch::text,
    (select coalesce(max(f.seq), 0) from raw.feed as f),
    c.last_seq,
    c.value,
    i.unsealed_through
from raw.identity as i
left join (select * from raw.commits order by last_seq desc limit 1) as c on true;

-- name: entries
-- The entries after a seq, each with what its digest is made of: the event's columns, or the text of ballots. Comments
-- are compared by `strays`, once for all: an older entry has no text any more.
select
    f.seq,
    f.kind,
    f.ref,
    f.digest,
    t.signature,
    e.ordinal,
    e.name,
    -- An event that was rebuilt from an instruction has no id in its bytes, except the one that creates the market.
    case when not coalesce(e.context ? 'rebuilt_from', false) or e.name = 'MarketCreated' then m.market_id end,
    m.account,
    w.wallet,
    e.clock,
    e.payload,
    case f.kind
        -- An imported ballot has no text (zmart/run/export/importer.py).
        when 'ballot' then (
            select nullif(b.message || E'\n' || b.signature, E'\n') from app.ballots as b where b.seq = f.seq
        )
    end
from raw.feed as f
left join raw.events as e on f.kind = 'event' and f.seq = e.seq
left join raw.transactions as t on e.transaction_no = t.transaction_no
left join raw.markets_seen as m on e.market_no = m.market_no
left join raw.wallets_seen as w on e.wallet_no = w.wallet_no
where f.seq > %(after)s and f.seq <= %(until)s
order by f.seq;

-- name: strays
-- The first row that folds or pages read and that is not in the log: added past the functions, retracted or brought back
-- past them, or a comment whose text is not that of its newest entry.
with newest as (
    select distinct on (f.ref)
        f.ref,
        f.seq,
        f.digest
    from raw.feed as f
    where f.kind = 'comment'
    order by f.ref asc, f.seq desc
),

strays as (
    select
        e.seq,
        'an event without an entry in the log' as problem
    from raw.events as e
    left join raw.feed as f on e.seq = f.seq and f.kind = 'event'
    where f.seq is null
    union all
    select
        e.seq,
        'an event whose retraction is not the one in the log'
    from raw.events as e
    left join (select distinct f.ref from raw.feed as f where f.kind = 'retracted') as r on e.seq = r.ref
    where (e.retracted_at is null) <> (r.ref is null)
    union all
    select
        b.seq,
        'a ballot without an entry in the log'
    from app.ballots as b
    left join raw.feed as f on b.seq = f.seq and f.kind = 'ballot'
    where f.seq is null
    union all
    select
        coalesce(n.seq, c.seq),
        'the text of the comment is not the one that was appended'
    from app.comments as c
    left join newest as n on c.comment_no = n.ref
    where
        c.deleted_at is null and c.erased_at is null and c.content <> ''
        -- Edits had no digest of their text once.
        and n.digest is distinct from sha256('')
        and n.digest is distinct from sha256(convert_to(c.content, 'UTF8'))
)

select
    seq,
    problem
from strays
order by seq
limit 1;

-- name: commits
-- The chain in order.
select
    first_seq,
    last_seq,
    value
from raw.commits
order by last_seq;

-- name: end_unsealed_history
-- Every entry is sealed: from now on, one without a chain means that the end of the chain was removed.
update raw.identity set unsealed_through = null where unsealed_through is not null;

-- name: accept_broken_chain
-- An operator decided: seal what the chain lacks, as if an earlier release had appended it.
with accepted as (
    update raw.identity set unsealed_through = %(head)s
)

select ops.record_audit(
    %(who)s, 'audit seal', format('entries %%s to %%s', %(last)s::bigint + 1, %(head)s::bigint), %(reason)s, '{}'
);

-- name: lock_log
-- Wait for the right to append, at most five seconds.
select raw.take_writer();

-- name: extend_chain
-- Seal entries that follow the end of the chain; false where it has moved.
select raw.extend_chain(%(first)s, %(last)s, %(leaves)s);

-- name: epoch
-- The epoch of the log, its end, and its own mark of a position.
select
    i.epoch::text,
    (select coalesce(max(f.seq), 0) from raw.feed as f),
    raw.mark_of(%(seq)s)
from raw.identity as i;
