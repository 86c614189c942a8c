with stepped as (
    select
        *,
        lag(price_yes, 1, 500000000::bigint) over (partition by market_no order by order_key) as price_before
    from trades
),

buys as (
    select
        cost,
        fees_exact,
        len(list_filter([0.1, 0.5, 1, 2, 5], lambda bound: cost / 1e9 >= bound)) as size,
        case outcome when 'YES' then price_before else 1000000000 - price_before end / 1e9 as before,
        gross / nullif(shares, 0) as paid,
        cost / nullif(shares, 0) as paid_with_fees,
        abs(price_yes - price_before) / 1e9 as moved
    from stepped
    where trade_type = 'buy' and shares > 0
)

select
    (['below 0.1', '0.1 to 0.5', '0.5 to 1', '1 to 2', '2 to 5', 'from 5'])[size + 1] as size_sol,
    count(*) as buys,
    round(avg(moved) * 100, 2) as moved_points,
    round(percentile_cont(0.5) within group (order by (paid / nullif(before, 0) - 1) * 10000)) as slippage_bps,
    round(percentile_cont(0.5) within group (order by (paid_with_fees / nullif(before, 0) - 1) * 10000)) as with_fees_bps
from buys
group by size
order by size;
