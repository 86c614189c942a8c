-- The value and the profit of each user position. Profit is defined here and nowhere else:
--   profit = lamports received + lamports claimed + mark - lamports invested = realized + unrealized
with held as (
    select
        positions.*,
        coalesce(costs.cost_yes, 0) as cost_yes,
        coalesce(costs.cost_no, 0) as cost_no,
        coalesce(costs.realized_by_sells, 0) as realized_by_sells,
        markets.state,
        markets.outcome,
        -- A market whose creation and end are not in the log has no state.
        coalesce(markets.state = 'FINALIZED', false) as is_final,
        markets.price_yes,
        markets.current_liquidity,
        markets.market_lamports,
        markets.accumulated_resolver_fees,
        markets.shares_yes as market_shares_yes,
        markets.shares_no as market_shares_no,
        markets.liquidity_withdrawn_at,
        markets.liquidity_withdrawn_at is not null as is_pool_withdrawn,
        -- A dispute that aggregate_dispute_votes rejects ends a market without finalized_at (protocol.md 1.4.15).
        case when markets.state = 'FINALIZED' then coalesce(markets.finalized_at, markets.resolved_at) end as decided_at,
        greatest(positions.last_seq, markets.last_seq) as newest_seq
    from {{ ref('positions') }} as positions
    inner join {{ ref('markets') }} as markets on positions.market_no = markets.market_no
    left join {{ ref('position_costs') }} as costs
    on positions.market_no = costs.market_no and positions.wallet_no = costs.wallet_no
),

-- The payout of claim_winnings by its formula (protocol.md 1.4.10), before it checks the account's balance.
owed as (
    select
        *,
        case
            when not is_final or has_claimed then 0
            when outcome = 'YES' then coalesce(div(shares_yes * current_liquidity, nullif(market_shares_yes, 0)), 0)
            when outcome = 'NO' then coalesce(div(shares_no * current_liquidity, nullif(market_shares_no, 0)), 0)
            else total_invested
        end as owed_lamports
    from held
),

-- It pays all or nothing: the account must contain the payout and the resolver's fees, and stay rent exempt.
payable as (
    select
        *,
        case
            when owed_lamports <= 0 then 0
            when
                market_lamports is not null
                and market_lamports - {{ market_rent_lamports() }}
                < owed_lamports + case when outcome = 'INVALID' then 0 else accumulated_resolver_fees end
                then 0
            else owed_lamports
        end as claimable
    from owed
),

valued as (
    select
        *,
        case
            when is_final then claimable
            when state = 'CANCELLED' then 0
            else
                coalesce(div(shares_yes * price_yes, 1000000000), 0)
                + coalesce(div(shares_no * (1000000000 - price_yes), 1000000000), 0)
        end as current_value,
        realized_by_sells
        + case when has_claimed then claimed_amount else 0 end
        - case
            when not is_final then 0
            when has_claimed or claimable = 0 then cost_yes + cost_no
            when outcome = 'YES' then cost_no
            when outcome = 'NO' then cost_yes
            else 0
        end as realized_pnl,
        case outcome when 'YES' then shares_yes when 'NO' then shares_no when 'INVALID' then total_invested end as winning_stake
    from payable
)

select
    market_no,
    wallet_no,
    market_id,
    on_chain_address,
    user_wallet,
    state,
    outcome,
    shares_yes,
    shares_no,
    cost_yes,
    cost_no,
    total_invested,
    total_proceeds,
    trades_count,
    has_claimed,
    claimed_amount,
    owed_lamports,
    claimable,
    is_pool_withdrawn,
    current_value,
    realized_pnl,
    total_proceeds + claimed_amount + current_value - total_invested - realized_pnl as unrealized_pnl,
    total_proceeds + claimed_amount + current_value - total_invested as profit,
    first_trade_at,
    last_trade_at,
    newest_seq as last_seq,
    case
        when has_claimed then case outcome when 'INVALID' then 'REFUNDED' else 'CLAIMED' end
        when state = 'CANCELLED' then 'CANCELLED'
        when shares_yes = 0 and shares_no = 0 and (not is_final or outcome <> 'INVALID') then 'CLOSED'
        when not is_final then 'OPEN'
        when claimable > 0 then case outcome when 'INVALID' then 'REFUNDABLE' else 'CLAIMABLE' end
        when winning_stake > 0 and is_pool_withdrawn then 'POOL_WITHDRAWN'
        when owed_lamports > 0 then 'POOL_SHORT'
        else 'LOST'
    end as settlement,
    decided_at,
    claimed_at,
    liquidity_withdrawn_at
from valued
