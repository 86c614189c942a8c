-- Buys and sells with the fee split that their events omit (protocol.md 8.6), at the rates in force at their place on chain.
with log as (
    select * from {{ log_events(['SharesBought', 'SharesSold']) }} as events
),

trades as (
    select
        seq,
        order_key,
        ordinal,
        market_no,
        wallet_no,
        clock,
        transaction_no,
        name = 'SharesBought' as is_buy,
        (payload ->> 'outcome')::boolean as is_yes,
        (payload ->> 'shares')::numeric as shares,
        coalesce(payload ->> 'cost', payload ->> 'proceeds')::numeric as cost,
        least((payload ->> 'new_price_yes')::numeric, 9223372036854775807)::bigint as price_yes,
        (context ->> 'market_lamports_delta')::numeric as market_lamports_delta,
        (context ->> 'market_lamports')::numeric as market_lamports
    from log
),

priced as (
    select
        trades.*,
        fees.protocol_bps,
        fees.resolver_bps,
        fees.lp_bps,
        fees.protocol_bps + fees.resolver_bps + fees.lp_bps as bps
    from trades
    cross join lateral folds.fees_in_force(trades.order_key) as fees
),

bounded as (
    select
        *,
        case
            when is_buy then {{ cost_before_fees('cost', 'bps') }}
            else coalesce({{ smallest_gross('cost', 'bps') }}, cost)
        end as gross_low,
        case
            when is_buy then {{ cost_before_fees('cost', 'bps') }}
            else coalesce({{ largest_gross('cost', 'bps') }}, cost)
        end as gross_high
    from priced
    {{ computed_once() }}
),

-- Two gross amounts can result in the same net amount. The market's balance decides: it fell by net and the protocol's part.
fee_candidates as (
    select
        *,
        -market_lamports_delta - cost as protocol_seen,
        {{ protocol_part('gross_low', 'bps', 'protocol_bps') }} as protocol_low,
        {{ protocol_part('gross_high', 'bps', 'protocol_bps') }} as protocol_high
    from bounded
),

resolved_by_balance as (
    select
        *,
        case
            when gross_low = gross_high then 'event'
            when gross_high - gross_low = 1 and protocol_low <> protocol_high and protocol_seen in (protocol_low, protocol_high) then 'balance'
        end as resolved_by
    from fee_candidates
    {{ computed_once() }}
),

-- If the balance does not decide, b may: C changes in steps of b / 1e9, so a difference of two values of C is a multiple of
-- that step, each rounded down.
cost_step_check as (
    select
        resolved_by_balance.*,
        market.b,
        {{ is_difference_of_costs('resolved_by_balance.gross_low', 'market.b') }}
        or resolved_by_balance.gross_high - resolved_by_balance.gross_low > 1 as low_fits,
        {{ is_difference_of_costs('resolved_by_balance.gross_high', 'market.b') }}
        or resolved_by_balance.gross_high - resolved_by_balance.gross_low > 1 as high_fits
    from resolved_by_balance
    left join lateral (
        select nullif((created.payload ->> 'b_parameter')::numeric, 0) as b
        from {{ source('raw', 'events') }} as created
        where
            resolved_by_balance.resolved_by is null
            and created.market_no = resolved_by_balance.market_no and created.name = 'MarketCreated' and created.retracted_at is null
        order by created.order_key desc
        limit 1
    ) as market on true
    {{ computed_once() }}
),

-- If b does not decide either, because it is not a whole number of SOL, C(q) - C(q - shares) of the totals before the sell
-- decides. That reads the market's earlier trades for each such sell. If they do not decide, because some have not arrived yet
-- or there are more than a few thousand, the larger amount is used: provisional. If b is unknown, or neither amount is a value
-- of its cost function: estimated.
resolved_gross as (
    select
        cost_step_check.*,
        case
            when cost_step_check.resolved_by = 'event' then cost_step_check.gross_high
            when cost_step_check.resolved_by = 'balance'
                then
                    case
                        when cost_step_check.protocol_seen = cost_step_check.protocol_low then cost_step_check.gross_low
                        else cost_step_check.gross_high
                    end
            when cost_step_check.low_fits and not cost_step_check.high_fits then cost_step_check.gross_low
            when totals.gross between cost_step_check.gross_low and cost_step_check.gross_high then totals.gross
            else cost_step_check.gross_high
        end as gross,
        case
            when cost_step_check.resolved_by is not null then cost_step_check.resolved_by
            when cost_step_check.low_fits <> cost_step_check.high_fits then 'step'
            when totals.gross between cost_step_check.gross_low and cost_step_check.gross_high then 'totals'
            when cost_step_check.low_fits and cost_step_check.high_fits then 'provisional'
            else 'estimated'
        end as gross_from
    from cost_step_check
    left join lateral (
        select
            -- Repeated here: without the filter below there would still be a row of no trades, and this function is expensive.
            case
                when cost_step_check.low_fits and cost_step_check.high_fits
                    then lmsr.proceeds(
                        div(cost_step_check.b, 1000) + before.traded_yes, div(cost_step_check.b, 1000) + before.traded_no,
                        cost_step_check.b, cost_step_check.is_yes, cost_step_check.shares
                    )
            end as gross
        from (
            select
                coalesce(sum(earlier.moved) filter (where earlier.is_yes), 0) as traded_yes,
                coalesce(sum(earlier.moved) filter (where not earlier.is_yes), 0) as traded_no,
                count(*) as trades_count
            from (
                select
                    (history.payload ->> 'outcome')::boolean as is_yes,
                    case history.name when 'SharesSold' then -1 else 1 end
                    * (history.payload ->> 'shares')::numeric as moved
                from {{ source('raw', 'events') }} as history
                where
                    cost_step_check.low_fits and cost_step_check.high_fits
                    and history.market_no = cost_step_check.market_no and history.order_key < cost_step_check.order_key
                    and history.retracted_at is null and history.name in ('SharesBought', 'SharesSold')
                limit {{ most_earlier_trades() }} + 1
            ) as earlier
        ) as before
        where before.trades_count <= {{ most_earlier_trades() }}
    ) as totals on true
    {{ computed_once() }}
),

split as (
    select
        *,
        abs(cost - gross) as fee,
        coalesce(div(abs(cost - gross) * protocol_bps, nullif(bps, 0)), 0) as protocol_fee,
        coalesce(div(abs(cost - gross) * resolver_bps, nullif(bps, 0)), 0) as resolver_fee
    from resolved_gross
    {{ computed_once() }}
),

final as (
    select
        seq,
        order_key,
        ordinal,
        market_no,
        wallet_no,
        clock,
        transaction_no,
        is_buy,
        is_yes,
        shares,
        cost,
        gross,
        protocol_fee,
        resolver_fee,
        fee - protocol_fee - resolver_fee as lp_fee,
        gross_from not in ('estimated', 'provisional') as fees_exact,
        gross_from,
        price_yes,
        market_lamports,
        protocol_bps,
        resolver_bps,
        lp_bps
    from split
)

select * from final
