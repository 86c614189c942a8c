-- Statements of zmart/run/audit.

-- name: head
-- The end of the log, the end of its chain, and the chain's last value; null where nothing is sealed.
select
    i.epoch::text,
    (select coalesce(max(f.seq), 0) from raw.feed as f),
    c.last_seq,
    c.value
from raw.identity as i
left join (select * from raw.commits order by last_seq desc limit 1) as c on true;

-- name: entries
-- The entries after a seq, each with what its digest is made of: the event's columns, or the text of ballots and of the
-- newest entry of each comment, where it is still there.
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
        when 'comment' then (
            select c.content from app.comments as c
            where
                c.comment_no = f.ref and c.deleted_at is null and c.erased_at is null
                and not exists (
                    select from raw.feed as later where later.kind = 'comment' and later.ref = f.ref and later.seq > f.seq
                )
        )
    end
from raw.feed as f
left join raw.events as e on f.kind = 'event' and f.seq = e.seq
left join raw.transactions as t on e.transaction_no = t.transaction_no
left join raw.markets_seen as m on e.market_no = m.market_no
left join raw.wallets_seen as w on e.wallet_no = w.wallet_no
where f.seq > %(after)s and f.seq <= %(until)s
order by f.seq;

-- name: commits
-- The chain in order.
select
    first_seq,
    last_seq,
    value
from raw.commits
order by last_seq;

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
