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
