-- A market's candles contain all its trades and volume, and stay within their bounds; returned rows are violations.
with candles as (
    select
        market_no,
        sum(volume) as volume,
        sum(trades_count) as trades_count,
        bool_and(low <= least(open, close) and high >= greatest(open, close)) as is_bounded
    from {{ ref('candles_1m') }}
    group by market_no
)

select markets.market_no
from {{ ref('markets') }} as markets
left join candles on markets.market_no = candles.market_no
where
    markets.total_volume <> coalesce(candles.volume, 0)
    or markets.trades_count <> coalesce(candles.trades_count, 0)
    or not coalesce(candles.is_bounded, true)
