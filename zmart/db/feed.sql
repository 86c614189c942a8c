-- Statements of zmart/db/feed.py, which reads the log's feed.

-- name: head
-- Return the epoch of the log, the seq of its newest entry and the mark of that position, in one snapshot.
select
    i.epoch::text,
    h.seq,
    raw.mark_of(h.seq)
from raw.identity as i
cross join (select coalesce(max(f.seq), 0) as seq from raw.feed as f) as h;

-- name: read
-- Return the epoch, the end of the log with its mark, the marks of the position itself and of the last entry that is returned,
-- and the first entries after the position; one row without an entry when there is none.
with entries as materialized (
    select
        e.seq,
        e.kind,
        e.ref,
        e.market_no,
        e.wallet_no,
        e.at
    from raw.feed as e
    where e.seq > %(after)s
    order by e.seq
    limit %(max_entries)s
)

select
    i.epoch::text,
    h.seq,
    raw.mark_of(h.seq),
    raw.mark_of(%(after)s),
    raw.mark_of((select max(e.seq) from entries as e)),
    f.seq,
    f.kind,
    f.ref,
    f.market_no,
    f.wallet_no,
    f.at
from raw.identity as i
cross join (select coalesce(max(e.seq), 0) as seq from raw.feed as e) as h
left join entries as f on true
order by f.seq;

-- name: confirm_identity
-- Return the epoch of the log: a new one if the server, its timeline, the database or the feed's table changed, unless this
-- position with its mark proves that the history is the same. Null while a promoted server waits for such a proof.
select raw.confirm_identity(%(epoch)s, %(seq)s, %(mark)s)::text;

-- name: listen
-- Receive the notification that every appending transaction sends.
listen zmart_feed;
