-- Reading the log's feed. Statements of zmart/db/feed.py.

-- name: head
-- Which log this is and the seq of its newest entry, in one snapshot.
select
    i.epoch::text,
    coalesce((select max(f.seq) from raw.feed as f), 0)
from raw.identity as i;

-- name: read
-- Which log this is, where it ends, and its first entries after a seq; one row without entry when there is none.
select
    i.epoch::text,
    coalesce((select max(h.seq) from raw.feed as h), 0),
    f.seq,
    f.kind,
    f.ref,
    f.market_no,
    f.wallet_no,
    f.at
from raw.identity as i
left join lateral (
    select e.* from raw.feed as e
    where e.seq > %(after)s
    order by e.seq
    limit %(max_entries)s
) as f on true
order by f.seq;

-- name: listen
-- Hear the doorbell that every appending transaction rings.
listen zmart_feed;
