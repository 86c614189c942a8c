with a_week_ago as (
    select max(bitShiftRight(order_key, 24)) as slot
    from activity
    where block_time <= (select max(block_time) - interval 7 day from trades)
),

traded as (
    select
        market_no,
        count(*) as trades_count,
        max(block_time) as last_trade_at,
        argMax(price_yes, order_key) as price_yes
    from trades, a_week_ago
    where trades.slot <= a_week_ago.slot
    group by market_no
),

stated as (
    select
        market_no,
        argMax(to_state, order_key) as state
    from market_lifecycle, a_week_ago
    where bitShiftRight(order_key, 24) <= a_week_ago.slot and to_state is not null
    group by market_no
)

select
    left(markets.id, 8) as market,
    stated.state as state_then,
    markets.state as state_now,
    round(traded.price_yes / 1e9, 4) as price_then,
    round(markets.price_yes / 1e9, 4) as price_now,
    traded.trades_count as trades_then,
    markets.trades_count as trades_now
from traded
inner join stated on traded.market_no = stated.market_no
inner join markets on traded.market_no = markets.market_no
where markets.last_trade_at > traded.last_trade_at
order by markets.total_volume desc, markets.id asc
limit 10;
