-- These statements of zmart/db/feed.py read the feed of the log.

-- name: head
-- Return the epoch of the log and the seq of its newest entry, in one snapshot.
select
    i.epoch::text,
    coalesce((select max(f.seq) from raw.feed as f), 0)
from raw.identity as i;

-- name: read
-- Return the epoch, the seq of the newest entry, and the first entries after a seq; one row without an entry if none.
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
-- Listen for the notification that every appending transaction sends.
listen zmart_feed;
