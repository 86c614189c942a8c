-- Trades.

-- name: trades
-- A page of trades by number and version, the latest on chain first.
with page as materialized (
    -- Skipped rows are not rendered.
    select t.seq as number, t.order_key as sort_key, {trade_version} as version from (
        select t.seq, t.order_key, t.tableoid, t.xmin
        from marts.priced_trades as t
        where {is_shown} {filters} {beyond}
        order by t.order_key desc, t.seq desc
        limit {bound}
    ) as t
    limit %(limit)s + 1 offset %(offset)s::int
),
shown as materialized (
    select * from page order by sort_key desc, number desc limit %(limit)s
)
select {stated}, {server}, (
    select string_agg(s.version, ' ' order by s.sort_key desc, s.number desc) from shown as s
) as versions, null::text as texts, case when {it_exists} then json_build_object(
    'count', (select count(*) from shown),
    'limit', %(limit)s::int,
    'offset', %(offset)s::int,
    'next_cursor', (
        select {cursor} from (select s.* from shown as s order by s.sort_key, s.number limit 1) as p
        where (select count(*) from page) > %(limit)s
    ),
    {named}
    'as_of', {as_of}
) end as rest
from ops.as_of(array['priced_trades', 'markets']) as a;

-- name: trade_rows
-- The row in a list for each of these trades, by version.
select {trade_version} as version, {trade} as text
from (
    -- A view has no version of its own. Offset 0 keeps the planner from merging this query into the outer one.
    select {trade_values}, p.tableoid, p.xmin
    from marts.priced_trades as p
    inner join marts.trades as v on p.seq = v.seq
    where p.seq = any(%(numbers)s::text[]::bigint[])
    offset 0
) as t;

-- name: lock_lists
-- Lock the tables of lists against changes until the transaction ends.
lock table marts.markets, marts.priced_trades, app.market_metadata in access share mode;
