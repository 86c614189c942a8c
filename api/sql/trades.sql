-- Trades.

-- name: trades
-- A page of trades, the latest on chain first.
with page as materialized (
    select * from (
        select t.*, t.seq as number, t.order_key as sort_key
        from marts.trades as t
        where {is_shown} {filters} {beyond}
        order by t.order_key desc, t.seq desc
        limit {bound}
    ) as bounded
    limit %(limit)s + 1 offset %(offset)s
),
shown as materialized (
    select * from page order by sort_key desc, number desc limit %(limit)s
)
select {stated}, case when {it_exists} then concat('{"trades":[', (
    select string_agg(r.trade, ',') from (
        select {trade} as trade from shown as t order by t.sort_key desc, t.number desc
    ) as r
), '],', substr(json_build_object(
    'count', (select count(*) from shown),
    'limit', %(limit)s::int,
    'offset', %(offset)s::int,
    'next_cursor', (
        select {cursor} from (select s.* from shown as s order by s.sort_key, s.number limit 1) as p
        where (select count(*) from page) > %(limit)s
    ),
    {named}
    'as_of', {as_of}
)::text, 2)) end as body
from ops.as_of(array['trades', 'markets']) as a
