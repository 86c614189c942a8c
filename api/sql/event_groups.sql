-- Event groups: markets under one title.

-- name: event_groups
-- Events before a number, the newest first.
with page as materialized (
    select q.* from app.event_groups as q
    where q.event_no < %(before)s::bigint and q.deleted_at is null and q.hidden_at is null
    order by q.event_no desc
    limit %(limit)s + 1
),
shown as materialized (
    select * from page order by event_no desc limit %(limit)s
)
select {stated}, json_build_object(
    'events', coalesce((
        select json_agg(row_to_json(r)) from (
            select {event_brief}
            from shown as q
            inner join raw.wallets_seen as w on q.wallet_no = w.wallet_no
            order by q.event_no desc
        ) as r
    ), '[]'),
    'limit', %(limit)s::int,
    'next_before', (select min(q.event_no) from shown as q where (select count(*) from page) > %(limit)s),
    'as_of', {as_of}
) as body
from ops.as_of('{}') as a;

-- name: event_group
-- One event by a slug that it has or had, with the rows of its markets in their order.
select {stated}, (
    select row_to_json(r) from (
        select
            {event_brief},
            coalesce((
                select json_agg(row_to_json(x)) from (
                    select {market_brief}
                    from {from_markets}
                    where g.event_no = q.event_no and m.is_known
                    order by g.event_place
                ) as x
            ), '[]') as markets,
            {as_of} as as_of
        from app.event_slugs as l
        inner join app.event_groups as q on l.event_no = q.event_no
        inner join raw.wallets_seen as w on q.wallet_no = w.wallet_no
        where l.slug = %(slug)s::text and q.deleted_at is null and q.hidden_at is null
    ) as r
) as body
from ops.as_of(array['markets']) as a;

-- name: save_event_group
-- Make an event, or replace the one with a slug; returns its slug and the seq of the last log entry.
select r.slug, r.seq from app.save_event_group(
    %(slug)s::text, %(title)s::text, %(description)s::text, %(markets)s::text []
) as r;

-- name: delete_event_group
-- Delete an event; returns its slug and the seq of the last log entry.
select r.slug, r.seq from app.delete_event_group(%(slug)s::text) as r;
