-- Events as readable text.

-- name: newest_activity
-- Recent events of all markets, in the format of the browser's home page.
with page as materialized (
    select v.seq, v.order_key from ({kinds}) as n
    inner join raw.events as v on n.number = v.seq
    order by v.clock desc, v.order_key desc
    limit %(limit)s
)
select {stated}, json_build_object(
    'activities', coalesce((
        select json_agg(json_strip_nulls(json_build_object(
            'id', v.tx_signature || ':' || v.ordinal,
            'type', v.type,
            'user', coalesce(left(v.user_wallet, 6) || '...' || right(v.user_wallet, 4), 'protocol'),
            'action', v.action,
            'market', {question},
            'marketId', m.id,
            'time', v.block_time,
            'amount', round(v.amount / 1000000000, 2)::text || ' SOL'
        )) order by v.block_time desc, v.order_key desc)
        from page as p
        inner join marts.activity as v on p.seq = v.seq
        inner join marts.markets as m on v.market_no = m.market_no
        {creator_metadata}
    ), '[]'),
    'count', (select count(*) from page),
    'as_of', {as_of}
) as body
from ops.as_of(array['priced_trades', 'market_lifecycle', 'markets']) as a;

-- name: activity
-- A page of a market's or a wallet's events, the latest on chain first.
with page as materialized (
    select * from ({rows}) as bounded
    order by sort_key desc, number desc
    limit %(limit)s + 1
),
shown as materialized (
    select * from page order by sort_key desc, number desc limit %(limit)s
)
select {stated}, case when {it_exists} then json_build_object(
    'activity', coalesce((
        select json_agg(row_to_json(r)) from (
            select {activity}
            from shown as p
            inner join marts.activity as v on p.number = v.seq
            order by p.sort_key desc, p.number desc
        ) as r
    ), '[]'),
    'count', (select count(*) from shown),
    'limit', %(limit)s::int,
    'next_cursor', (
        select {cursor} from (select s.* from shown as s order by s.sort_key, s.number limit 1) as p
        where (select count(*) from page) > %(limit)s
    ),
    {named}
    'as_of', {as_of}
) end as body
from ops.as_of(array['markets']) as a;
