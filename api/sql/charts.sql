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
        'candles', coalesce((
            select json_agg(json_build_object(
                'bucket_at', b.start_at,
                'open', coalesce(c.open, l.close)::text,
                'high', coalesce(c.high, l.close)::text,
                'low', coalesce(c.low, l.close)::text,
                'close', coalesce(c.close, l.close)::text,
                'open_price', round(coalesce(c.open, l.close) / 1000000000.0, 9),
                'high_price', round(coalesce(c.high, l.close) / 1000000000.0, 9),
                'low_price', round(coalesce(c.low, l.close) / 1000000000.0, 9),
                'close_price', round(coalesce(c.close, l.close) / 1000000000.0, 9),
                'volume', coalesce(c.volume, 0)::text,
                'buy_volume', coalesce(c.buy_volume, 0)::text,
                'shares_volume', coalesce(c.shares_volume, 0)::text,
                'trades_count', c.trades_count,
                'is_carried', c.trades_count = 0
            ) order by b.start_at)
            from ({buckets}) as b
            cross join lateral (
                select
                    (min(array[c.open_key, c.open]))[2] as open,
                    max(c.high) as high,
                    min(c.low) as low,
                    (max(array[c.close_key, c.close]))[2] as close,
                    sum(c.volume) as volume,
                    sum(c.buy_volume) as buy_volume,
                    sum(c.shares_volume) as shares_volume,
                    coalesce(sum(c.trades_count), 0)::bigint as trades_count
                from marts.candles_1m as c
                where c.market_no = m.market_no and c.bucket_at >= b.start_at and c.bucket_at < b.start_at + {width}
            ) as c
            left join lateral (
                select e.close from marts.candles_1m as e
                where c.trades_count = 0 and e.market_no = m.market_no and e.bucket_at < b.start_at
                order by e.bucket_at desc limit 1
            ) as l on true
        ), '[]'),
        'from', %(from_at)s::timestamptz,
        'to', %(to_at)s::timestamptz,
        'limit', %(limit)s::int,
        'as_of', {as_of}
    )
    from marts.markets as m
    cross join lateral (
        -- Gaps are filled up to the newest instant of the log, of any market.
        select greatest(m.last_trade_at, {known_at}) as known_at, (
            select e.bucket_at from marts.candles_1m as e
            where e.market_no = m.market_no order by e.bucket_at limit 1
        ) as minute_at
    ) as k
    cross join lateral (
        select
            date_bin({width}, least(%(to_at)s::timestamptz - interval '1 microsecond', k.known_at), {origin}) as last_at,
            date_bin({width}, k.minute_at, {origin}) as first_at,
            -- The first candle that begins at or after `from`.
            date_bin(
                {width}, %(from_at)s::timestamptz + {width} - interval '1 microsecond', {origin}
            ) as from_at
    ) as w
    where m.is_known and m.market_no = {the_market}
) as body
from ops.as_of(array['candles_1m', 'markets']) as a;
