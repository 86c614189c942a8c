-- Profit is cash out + claims + mark - cash in. Its unrealized part must be the mark of the open shares less
-- their cost, which no column of portfolio computes this way; returned rows are violations.
with open as (
    select
        *,
        case
            when state = 'FINALIZED' and (has_claimed or claimable = 0) then 0
            when outcome = 'YES' then cost_yes
            when outcome = 'NO' then cost_no
            else cost_yes + cost_no
        end as open_cost
    from {{ ref('portfolio') }}
)

select *
from open
where
    unrealized_pnl <> current_value - case when has_claimed and state <> 'FINALIZED' then 0 else open_cost end
    or profit <> total_proceeds + claimed_amount + current_value - total_invested
    or profit <> realized_pnl + unrealized_pnl
