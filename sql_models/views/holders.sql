-- Holders of shares in each market, with their share of each side.
with held as (
    select
        positions.*,
        sum(positions.shares_yes) over (partition by positions.market_no) as held_yes,
        sum(positions.shares_no) over (partition by positions.market_no) as held_no
    from {{ ref('positions') }} as positions
    where positions.shares_yes > 0 or positions.shares_no > 0
)

select
    market_no,
    wallet_no,
    market_id,
    user_wallet,
    shares_yes,
    shares_no,
    total_invested,
    div(shares_yes * 10000, nullif(held_yes, 0)) as share_of_yes_bps,
    div(shares_no * 10000, nullif(held_no, 0)) as share_of_no_bps,
    last_seq
from held
