-- Prices of one market.

-- name: price_history
-- A market's price for a chart, in percent: even odds at its creation, then the newest trades, the latest last.
select {stated}, (
    select json_build_object(
        'market_id', m.id,
        'price_history', h.points,
        'count', json_array_length(h.points),
        'as_of', {as_of}
    )
    from marts.markets as m
    cross join lateral (
        select json_agg(
            json_build_object('timestamp', q.at, 'yes', q.yes, 'no', 100 - q.yes) order by q.place
        ) as points
        from (
            select m.created_at as at, 50::numeric as yes, -1::bigint as place
            union all
            (
                select n.at, greatest(1, least(99, round(n.price_yes / 10000000.0, 2))), n.order_key
                from (
                    select t.block_time as at, t.price_yes, t.order_key
                    from marts.trades as t
                    where t.market_no = m.market_no
                    order by t.order_key desc
                    limit {bound}
                ) as n
                order by n.order_key desc
                limit %(limit)s
            )
        ) as q
    ) as h
    where m.is_known and m.market_no = {the_market}
) as body
from ops.as_of(array['priced_trades', 'markets']) as a;

-- name: candles
-- A market's candles, the newest last. Each is combined from its minutes, found by their index, as the views
-- marts.candles_5m and wider do for all; one without a trade carries the previous close.
select {stated}, (
    select json_build_object(
        'market_id', m.id,
        'interval', %(interval)s::text,
        'candles', s.candles,
        'from', %(from_at)s::timestamptz,
        'to', %(to_at)s::timestamptz,
        'limit', %(limit)s::int,
        'as_of', {as_of}
    )
    from marts.markets as m
    cross join lateral ({candle_series}) as s
    where m.is_known and m.market_no = {the_market}
) as body
from ops.as_of(array['candles_1m', 'markets']) as a;
