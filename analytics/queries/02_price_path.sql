-- How did the price of the busiest market change, day by day?
-- A day without a trade has no candle: its price is the close before it.
with busiest as (
    select market_no
    from markets
    where is_known
    order by total_volume desc, market_no asc
    limit 1
)

select
    (candles.bucket_at at time zone 'UTC')::date as day,
    left(candles.market_id, 8) as market,
    round(candles.open / 1e9, 4) as open,
    round(candles.high / 1e9, 4) as high,
    round(candles.low / 1e9, 4) as low,
    round(candles.close / 1e9, 4) as close,
    round(candles.volume / 1e9, 3) as volume_sol,
    candles.trades_count as trades
from candles_1d as candles
inner join busiest on candles.market_no = busiest.market_no
order by candles.bucket_at;
