-- Shares of all positions plus the b/1000 phantom shares are the market's shares (protocol.md 1.4.2); returned rows are
-- violations.
with held as (
    select
        market_no,
        sum(shares_yes) as shares_yes,
        sum(shares_no) as shares_no
    from {{ ref('positions') }}
    group by market_no
)

select
    markets.market_no,
    markets.shares_yes,
    markets.shares_no
from {{ ref('markets') }} as markets
left join held on markets.market_no = held.market_no
where
    markets.is_known
    and (
        markets.shares_yes <> div(markets.b_parameter, 1000) + coalesce(held.shares_yes, 0)
        or markets.shares_no <> div(markets.b_parameter, 1000) + coalesce(held.shares_no, 0)
    )
