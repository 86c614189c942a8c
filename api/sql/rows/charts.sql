-- name: width
-- The duration of a candle.
make_interval(secs => %(width_seconds)s::int)

-- name: origin
-- The instant at which candles of any width are aligned; a day at 00:00 UTC.
timestamptz '2000-01-01 00:00+00'

-- name: start_of_minute
-- The start of the candle that contains minute c.
date_bin({width}, c.bucket_at, {origin})

-- name: buckets_filled
-- Every candle's start from the first trade on, the newest of them.
select g.start_at from generate_series(
    greatest(w.from_at, w.first_at, w.last_at - (%(limit)s::int - 1) * {width}), w.last_at, {width}
) as g (start_at)
where w.first_at is not null

-- name: buckets_traded
-- The start of every candle in which the market traded, from the newest back: one index lookup for each.
with recursive traded (start_at, number) as (
    select n.start_at, 1 from (
        select {start_of_minute} as start_at from marts.candles_1m as c
        where c.market_no = m.market_no and c.bucket_at < w.last_at + {width}
        order by c.bucket_at desc limit 1
    ) as n
    union all
    select n.start_at, b.number + 1 from traded as b cross join lateral (
        select {start_of_minute} as start_at from marts.candles_1m as c
        where c.market_no = m.market_no and c.bucket_at < b.start_at
        order by c.bucket_at desc limit 1
    ) as n
    where b.number < %(limit)s
)
select b.start_at from traded as b where w.from_at is null or b.start_at >= w.from_at

-- name: known_at
-- The newest instant of the log, by the chain's clock.
to_timestamp((
    select least(e.clock, 253402300799) from raw.events as e
    where e.retracted_at is null order by e.order_key desc limit 1
))

-- name: candle_series
-- The candles of market m in a window, the newest last, as one array; each is combined from its minutes.
select coalesce((
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
), '[]') as candles
from (
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
