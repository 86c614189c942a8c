CREATE OR REPLACE FUNCTION marts.priced_trades_as_of(p_slot bigint, p_market_no integer DEFAULT NULL::integer)
 RETURNS TABLE(seq bigint, order_key bigint, transaction_no bigint, block_time timestamp with time zone, price_yes bigint, market_no integer, wallet_no integer, protocol_bps integer, resolver_bps integer, lp_bps integer, is_buy boolean, is_yes boolean, gross_from text, shares numeric, cost numeric, gross numeric, protocol_fee numeric, resolver_fee numeric)
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
#variable_conflict use_column
declare
    v_bound bigint := (least(p_slot, 549755813886) + 1) << 24;
    v_until timestamptz := coalesce((
        select to_timestamp(least(greatest(e.clock, 0), 253402300799))
        from raw.events as e
        where e.order_key >= v_bound and e.retracted_at is null
        order by e.order_key
        limit 1
    ), 'infinity');
begin
return query
select
    seq,
    order_key,
    transaction_no,
    block_time,
    price_yes,
    market_no,
    wallet_no,
    protocol_bps,
    resolver_bps,
    lp_bps,
    is_buy,
    is_yes,
    gross_from,
    shares,
    cost,
    gross,
    protocol_fee,
    resolver_fee
from (
-- What the log says of each trade and what follows from it, by numbers: marts.trades adds texts. The widest mart of all, so each
-- column that another column or table implies is left to the view, and the columns are ordered by their alignment.


with  __dbt__cte__stg_trades as (
-- Buys and sells with the fee split that their events omit (protocol.md 8.6), at the rates in force at their place on chain.
with log as (
    select * from (
        select
            seq, order_key, transaction_no, ordinal, name, market_no, wallet_no, clock, payload, context
        from "raw"."events" as logged
        where retracted_at is null and (order_key < v_bound and (p_market_no is null or market_no = p_market_no))
        and name in ('SharesBought', 'SharesSold')
    ) as events
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
            when is_buy then div(cost * 10000 + (10000 + bps) - 1, 10000 + bps)
            else coalesce(case when cost > 0 then div((cost - 1) * 10000, nullif(10000 - bps, 0)) + 1 else cost end, cost)
        end as gross_low,
        case
            when is_buy then div(cost * 10000 + (10000 + bps) - 1, 10000 + bps)
            else coalesce(div(cost * 10000, nullif(10000 - bps, 0)), cost)
        end as gross_high
    from priced
    offset 0
),

-- Two gross amounts can result in the same net amount. The market's balance decides: it fell by net and the protocol's part.
fee_candidates as (
    select
        *,
        -market_lamports_delta - cost as protocol_seen,
        coalesce(div(div(gross_low * bps, 10000) * protocol_bps, nullif(bps, 0)), 0) as protocol_low,
        coalesce(div(div(gross_high * bps, 10000) * protocol_bps, nullif(bps, 0)), 0) as protocol_high
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
    offset 0
),

-- If the balance does not decide, b may: C changes in steps of b / 1e9, so a difference of two values of C is a multiple of
-- that step, each rounded down.
cost_step_check as (
    select
        resolved_by_balance.*,
        market.b,
        case
        when mod(market.b, 1000000000) = 0 then mod(resolved_by_balance.gross_low * 1000000000, market.b) = 0
        else
            resolved_by_balance.gross_low - div(market.b * div(resolved_by_balance.gross_low * 1000000000 + market.b - 1, market.b), 1000000000) in (0, 1)
            or resolved_by_balance.gross_low - div(market.b * div(resolved_by_balance.gross_low * 1000000000, market.b), 1000000000) in (0, 1)
    end
        or resolved_by_balance.gross_high - resolved_by_balance.gross_low > 1 as low_fits,
        case
        when mod(market.b, 1000000000) = 0 then mod(resolved_by_balance.gross_high * 1000000000, market.b) = 0
        else
            resolved_by_balance.gross_high - div(market.b * div(resolved_by_balance.gross_high * 1000000000 + market.b - 1, market.b), 1000000000) in (0, 1)
            or resolved_by_balance.gross_high - div(market.b * div(resolved_by_balance.gross_high * 1000000000, market.b), 1000000000) in (0, 1)
    end
        or resolved_by_balance.gross_high - resolved_by_balance.gross_low > 1 as high_fits
    from resolved_by_balance
    left join lateral (
        select nullif((created.payload ->> 'b_parameter')::numeric, 0) as b
        from "raw"."events" as created
        where
            resolved_by_balance.resolved_by is null
            and created.market_no = resolved_by_balance.market_no and created.name = 'MarketCreated' and created.retracted_at is null
        order by created.order_key desc
        limit 1
    ) as market on true
    offset 0
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
                from "raw"."events" as history
                where
                    cost_step_check.low_fits and cost_step_check.high_fits
                    and history.market_no = cost_step_check.market_no and history.order_key < cost_step_check.order_key
                    and history.retracted_at is null and history.name in ('SharesBought', 'SharesSold')
                limit 5000 + 1
            ) as earlier
        ) as before
        where before.trades_count <= 5000
    ) as totals on true
    offset 0
),

split as (
    select
        *,
        abs(cost - gross) as fee,
        coalesce(div(abs(cost - gross) * protocol_bps, nullif(bps, 0)), 0) as protocol_fee,
        coalesce(div(abs(cost - gross) * resolver_bps, nullif(bps, 0)), 0) as resolver_fee
    from resolved_gross
    offset 0
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
), trades as (
    select * from __dbt__cte__stg_trades
),

final as (
    select
        seq,
        order_key,
        transaction_no,
        to_timestamp(case when clock is not null then least(greatest(clock, 0), 253402300799) end) as block_time,
        price_yes,
        market_no,
        wallet_no,
        protocol_bps,
        resolver_bps,
        lp_bps,
        is_buy,
        is_yes,
        gross_from,
        shares::numeric(39, 0) as shares,
        cost::numeric(39, 0) as cost,
        gross::numeric(39, 0) as gross,
        protocol_fee::numeric(39, 0) as protocol_fee,
        resolver_fee::numeric(39, 0) as resolver_fee
    from trades
    where market_no is not null and wallet_no is not null
)

select * from final
) as folded;
end
$function$
