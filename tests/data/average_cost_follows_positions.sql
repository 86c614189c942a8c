-- The cost of the shares still owned is the investment less the cost of the sold ones; returned rows are violations.
select positions.*
from {{ ref('positions') }} as positions
inner join {{ ref('position_costs') }} as costs
on positions.market_no = costs.market_no and positions.wallet_no = costs.wallet_no
where
    positions.total_invested + costs.realized_by_sells
    <> positions.total_proceeds + costs.cost_yes + costs.cost_no
    or costs.state[1] <> positions.shares_yes
    or costs.state[4] <> positions.shares_no
