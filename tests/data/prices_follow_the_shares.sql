-- The program computes a trade's new_price_yes from the shares after it; so does lmsr.price_yes, bit for bit (protocol.md 2.2).
-- Returned rows are trades with another price: some trade before them is missing, or has a wrong place.
with totals as (
    select
        trades.seq,
        trades.market_no,
        trades.price_yes,
        markets.b_parameter,
        div(markets.b_parameter, 1000) + coalesce(sum(
            case trades.trade_type when 'buy' then trades.shares else -trades.shares end
        ) filter (where trades.outcome = 'YES') over so_far, 0) as shares_yes,
        div(markets.b_parameter, 1000) + coalesce(sum(
            case trades.trade_type when 'buy' then trades.shares else -trades.shares end
        ) filter (where trades.outcome = 'NO') over so_far, 0) as shares_no
    from {{ ref('trades') }} as trades
    inner join {{ ref('markets') }} as markets on trades.market_no = markets.market_no
    where markets.is_known
    window so_far as (partition by trades.market_no order by trades.order_key, trades.seq)
)

select
    *,
    lmsr.price_yes(shares_yes, shares_no, b_parameter) as price_by_shares
from totals
where lmsr.price_yes(shares_yes, shares_no, b_parameter) is distinct from price_yes
