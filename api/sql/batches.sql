-- Reads of many things in one statement, so that all of them are from one snapshot.

-- name: market_batch
-- Markets in the order of the request, by number and version, and the wallet's positions in them.
with asked as materialized (
    {asked_markets}
)
select {stated}, {server}, (
    select string_agg({market_batch_version}, ' ' order by q.place)
    from asked as q
    inner join marts.markets as m on q.market_no = m.market_no
    {creator_metadata}
    where m.is_known
) as versions, null::text as texts, json_build_object(
    'positions', {own_positions},
    'missing', {missing_markets},
    'as_of', {as_of}
) as rest
from ops.as_of(array['priced_trades', 'positions', 'position_costs', 'markets']) as a;

-- name: market_batch_rows
-- The row of each of these markets with its newest prices, by version.
select
    {market_batch_version} as version,
    (select row_to_json(r)::text from (select {market_brief}, {sparkline} as sparkline) as r) as text
from {from_markets}
where m.market_no = any(%(numbers)s::text[]::int[]);

-- name: candle_batch
-- The candles of several markets in one window, in the order of the request.
with asked as materialized (
    {asked_markets}
)
select {stated}, json_build_object(
    'interval', %(interval)s::text,
    'series', coalesce((
        select json_agg(json_build_object('market_id', m.id, 'candles', s.candles) order by q.place)
        from asked as q
        inner join marts.markets as m on q.market_no = m.market_no
        cross join lateral ({candle_series}) as s
        where m.is_known
    ), '[]'),
    'missing', {missing_markets},
    'from', %(from_at)s::timestamptz,
    'to', %(to_at)s::timestamptz,
    'limit', %(limit)s::int,
    'as_of', {as_of}
) as body
from ops.as_of(array['candles_1m', 'markets']) as a;

-- name: position_batch
-- The positions of several wallets, each wallet's latest traded first; wallets in the order of the request.
select {stated}, json_build_object(
    'wallets', (
        select json_agg(json_build_object(
            'wallet', q.name,
            'positions', coalesce((
                select json_agg(row_to_json(r)) from (
                    select {portfolio_row}
                    from (
                        select h.* from marts.portfolio as h
                        inner join marts.markets as k on h.market_no = k.market_no
                        where h.wallet_no = w.wallet_no and k.is_known {of_market}
                        order by h.last_trade_at desc nulls last, h.market_no asc
                        limit %(limit)s
                    ) as p
                    inner join marts.markets as m on p.market_no = m.market_no
                    {creator_metadata}
                    order by p.last_trade_at desc nulls last, p.market_no asc
                ) as r
            ), '[]')
        ) order by q.place)
        from string_to_table(%(wallet_names)s::text, ' ') with ordinality as q (name, place)
        left join raw.wallets_seen as w on q.name = w.wallet
    ),
    'limit', %(limit)s::int,
    'as_of', {as_of}
) as body
from ops.as_of(array['positions', 'position_costs', 'markets']) as a;
