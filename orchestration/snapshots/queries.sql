-- name: day_is_over
-- Whether no further entry can be dated into a day.
select ops.is_day_over(%(day)s);

-- name: discussion_on
-- Every comment that was written, edited or deleted on a day, as it was at the end of the day.
select market_no, market_id, comment_no, parent_no, user_wallet, content, created_at, edited_at, deleted_at
from ops.discussion_on(%(day)s);

-- name: anchored_snapshots
-- The anchored snapshots of a day, by market.
select market_no, cid_v0, previous_cid, pinned_at is not null from ops.snapshots where day = %(day)s;

-- name: previous_snapshots
-- The newest snapshot of each market before a day.
select distinct on (market_no) market_no, cid_v0 from ops.snapshots where day < %(day)s order by market_no, day desc;

-- name: insert_snapshot
-- Record a document that was published and read back; a pin belongs to one CID.
insert into ops.snapshots as s
(market_no, day, cid_v0, cid_v1, previous_cid, comments_count, document_bytes, published_at)
values (
    %(market_no)s, %(day)s, %(cid_v0)s, %(cid_v1)s, %(previous_cid)s, %(comments_count)s, %(document_bytes)s,
    clock_timestamp()
)
on conflict (market_no, day) do update set
    cid_v0 = excluded.cid_v0,
    cid_v1 = excluded.cid_v1,
    previous_cid = excluded.previous_cid,
    comments_count = excluded.comments_count,
    document_bytes = excluded.document_bytes,
    published_at = excluded.published_at,
    pinned_at = case when s.cid_v0 = excluded.cid_v0 then s.pinned_at end;

-- name: mark_pinned
-- Record that the pinning service has pinned it.
update ops.snapshots set pinned_at = clock_timestamp()
where market_no = %(market_no)s and day = %(day)s and cid_v0 = %(cid_v0)s;

-- name: days_missing
-- Past days, from one on, with snapshots that are not anchored, or not pinned where there is a pinning service.
select distinct d.day
from ops.discussion_days(%(from_day)s) as d
left join ops.snapshots as s on d.market_no = s.market_no and d.day = s.day
where
    d.day < (clock_timestamp() at time zone 'UTC')::date
    and (s.published_at is null or (%(has_keeper)s and s.pinned_at is null))
order by d.day;

-- name: by_cid
-- The anchored snapshot of a CID, in either version.
select s.market_no, m.market_id, s.day, s.cid_v0, s.previous_cid
from ops.snapshots as s inner join raw.markets_seen as m on s.market_no = m.market_no
where %(cid)s in (s.cid_v0, s.cid_v1)
order by s.day
limit 1;

-- name: newest_snapshots
-- The newest snapshots.
select s.day, m.market_id, s.cid_v0, s.comments_count, s.document_bytes, s.published_at, s.pinned_at
from ops.snapshots as s inner join raw.markets_seen as m on s.market_no = m.market_no
order by s.day desc, s.market_no
limit %(limit)s;
