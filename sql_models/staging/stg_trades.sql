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

-- Two gross amounts can leave a seller the same. The market's balance tells which: it fell by net and the protocol's part.
weighed as (
    select
        *,
        -market_lamports_delta - cost as protocol_seen,
        {{ protocol_part('gross_low', 'bps', 'protocol_bps') }} as protocol_low,
        {{ protocol_part('gross_high', 'bps', 'protocol_bps') }} as protocol_high
    from bounded
),

told as (
    select
        *,
        case
            when gross_low = gross_high then 'event'
            when protocol_low <> protocol_high and protocol_seen in (protocol_low, protocol_high) then 'balance'
        end as told_by
    from weighed
),

-- Where it does not, C(q) - C(q - shares) does, if the totals before the sell are known: one lookup for each such sell alone.
settled as (
    select
        told.*,
        case
            when told.told_by = 'event' then told.gross_high
            when told.told_by = 'balance'
                then case when told.protocol_seen = told.protocol_low then told.gross_low else told.gross_high end
            when totals.gross between told.gross_low and told.gross_high then totals.gross
            else told.gross_high
        end as gross,
        coalesce(
            told.told_by, case when totals.gross between told.gross_low and told.gross_high then 'totals' end, 'guess'
        ) as gross_from
    from told
    left join lateral (
        select
            lmsr.proceeds(
                div(before.b, 1000) + before.traded_yes, div(before.b, 1000) + before.traded_no,
                before.b, told.outcome, told.shares
            ) as gross
        from (
            select
                max((earlier.payload ->> 'b_parameter')::numeric) as b,
                coalesce(sum(
                    case earlier.name when 'SharesSold' then -1 else 1 end * (earlier.payload ->> 'shares')::numeric
                ) filter (where (earlier.payload ->> 'outcome')::boolean), 0) as traded_yes,
                coalesce(sum(
                    case earlier.name when 'SharesSold' then -1 else 1 end * (earlier.payload ->> 'shares')::numeric
                ) filter (where not (earlier.payload ->> 'outcome')::boolean), 0) as traded_no
            from {{ source('raw', 'events') }} as earlier
            where
                told.told_by is null
                and earlier.market_no = told.market_no and earlier.order_key < told.order_key
                and earlier.retracted_at is null and earlier.name in ('MarketCreated', 'SharesBought', 'SharesSold')
        ) as before
    ) as totals on true
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
    gross_from <> 'guess' as fees_exact,
    gross_from,
    new_price_yes,
    market_lamports,
    protocol_bps,
    resolver_bps,
    lp_bps
from split
