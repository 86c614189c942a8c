-- Buys and sells with the fee split that their events omit (protocol.md 8.6), at the rates in force at their place on chain.
with trades as (
    select
        seq,
        order_key,
        ordinal,
        market_no,
        wallet_no,
        clock,
        signature,
        name = 'SharesBought' as is_buy,
        (payload ->> 'outcome')::boolean as outcome,
        (payload ->> 'shares')::numeric as shares,
        coalesce(payload ->> 'cost', payload ->> 'proceeds')::numeric as cost,
        (payload ->> 'new_price_yes')::numeric as new_price_yes,
        (context ->> 'market_lamports_delta')::numeric as market_lamports_delta,
        (context ->> 'market_lamports')::numeric as market_lamports
    from {{ log_events(['SharesBought', 'SharesSold']) }} as events
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
),

settled as (
    select
        *,
        case
            when
                gross_low <> gross_high
                and cost + {{ protocol_part('gross_low', 'bps', 'protocol_bps') }} = -market_lamports_delta
                and cost + {{ protocol_part('gross_high', 'bps', 'protocol_bps') }} <> -market_lamports_delta
                then gross_low
            else gross_high
        end as gross,
        gross_low = gross_high or (
            {{ protocol_part('gross_low', 'bps', 'protocol_bps') }}
            <> {{ protocol_part('gross_high', 'bps', 'protocol_bps') }}
            and -market_lamports_delta - cost in (
                {{ protocol_part('gross_low', 'bps', 'protocol_bps') }},
                {{ protocol_part('gross_high', 'bps', 'protocol_bps') }}
            )
        ) is true as fees_exact
    from bounded
),

split as (
    select
        *,
        abs(cost - gross) as fee,
        coalesce(div(abs(cost - gross) * protocol_bps, nullif(bps, 0)), 0) as protocol_fee,
        coalesce(div(abs(cost - gross) * resolver_bps, nullif(bps, 0)), 0) as resolver_fee
    from settled
)

select
    seq,
    order_key,
    ordinal,
    market_no,
    wallet_no,
    clock,
    signature,
    is_buy,
    outcome,
    shares,
    cost,
    gross,
    protocol_fee,
    resolver_fee,
    fee - protocol_fee - resolver_fee as lp_fee,
    fees_exact,
    new_price_yes,
    market_lamports,
    protocol_bps,
    resolver_bps,
    lp_bps
from split
