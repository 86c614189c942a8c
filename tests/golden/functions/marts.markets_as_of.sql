CREATE OR REPLACE FUNCTION marts.markets_as_of(p_slot bigint, p_market_no integer DEFAULT NULL::integer)
 RETURNS TABLE(market_no integer, id text, on_chain_address text, is_known boolean, created_key bigint, creator_wallet text, b_parameter numeric, initial_liquidity numeric, ipfs_question_hash text, state_key bigint, state_code integer, shares_yes numeric, shares_no numeric, total_volume numeric, trades_count bigint, price_key bigint, last_price_yes bigint, protocol_fees_paid numeric, resolver_fees_earned numeric, lp_fees_earned numeric, liquidity_change numeric, resolver_paid boolean, claims_count bigint, claims_paid numeric, withdrawn_amount numeric, resolution_key bigint, resolver_wallet text, proposed_outcome boolean, ipfs_evidence_hash text, resolution_proposed_at timestamp with time zone, finalization_key bigint, final_outcome boolean, proposal_key bigint, last_proposal_likes bigint, last_proposal_dislikes bigint, dispute_key bigint, last_dispute_agree bigint, last_dispute_disagree bigint, initiation_key bigint, dispute_initiator text, dispute_initiated_at timestamp with time zone, was_disputed boolean, created_at timestamp with time zone, approved_at timestamp with time zone, activated_at timestamp with time zone, resolved_at timestamp with time zone, finalized_at timestamp with time zone, cancelled_at timestamp with time zone, liquidity_withdrawn_at timestamp with time zone, last_trade_at timestamp with time zone, lamports_key bigint, market_lamports bigint, last_order_key bigint, last_seq bigint, state text, outcome text, is_cancelled boolean, current_liquidity numeric, accumulated_resolver_fees numeric, accumulated_lp_fees numeric, price_yes bigint, proposal_likes bigint, proposal_dislikes bigint, proposal_total_votes bigint, dispute_agree bigint, dispute_disagree bigint, dispute_total_votes bigint)
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
    market_no,
    id,
    on_chain_address,
    is_known,
    created_key,
    creator_wallet,
    b_parameter,
    initial_liquidity,
    ipfs_question_hash,
    state_key,
    state_code,
    shares_yes,
    shares_no,
    total_volume,
    trades_count,
    price_key,
    last_price_yes,
    protocol_fees_paid,
    resolver_fees_earned,
    lp_fees_earned,
    liquidity_change,
    resolver_paid,
    claims_count,
    claims_paid,
    withdrawn_amount,
    resolution_key,
    resolver_wallet,
    proposed_outcome,
    ipfs_evidence_hash,
    resolution_proposed_at,
    finalization_key,
    final_outcome,
    proposal_key,
    last_proposal_likes,
    last_proposal_dislikes,
    dispute_key,
    last_dispute_agree,
    last_dispute_disagree,
    initiation_key,
    dispute_initiator,
    dispute_initiated_at,
    was_disputed,
    created_at,
    approved_at,
    activated_at,
    resolved_at,
    finalized_at,
    cancelled_at,
    liquidity_withdrawn_at,
    last_trade_at,
    lamports_key,
    market_lamports,
    last_order_key,
    last_seq,
    ((ARRAY['PROPOSED'::text, 'APPROVED'::text, 'ACTIVE'::text, 'RESOLVING'::text, 'DISPUTED'::text, 'FINALIZED'::text, 'CANCELLED'::text])[(state_code + 1)])::text as state,
    (
CASE
    WHEN (state_code = 5) THEN
    CASE
        WHEN final_outcome THEN 'YES'::text
        WHEN (NOT final_outcome) THEN 'NO'::text
        ELSE 'INVALID'::text
    END
    ELSE NULL::text
END)::text as outcome,
    (COALESCE((state_code = 6), false))::boolean as is_cancelled,
    (
CASE
    WHEN (liquidity_withdrawn_at IS NOT NULL) THEN (0)::numeric
    ELSE (initial_liquidity + liquidity_change)
END)::numeric(39,0) as current_liquidity,
    (
CASE
    WHEN resolver_paid THEN (0)::numeric
    ELSE resolver_fees_earned
END)::numeric(39,0) as accumulated_resolver_fees,
    (
CASE
    WHEN (liquidity_withdrawn_at IS NOT NULL) THEN (0)::numeric
    ELSE lp_fees_earned
END)::numeric(39,0) as accumulated_lp_fees,
    (
CASE
    WHEN (b_parameter < ('100000000000'::bigint)::numeric) THEN NULL::bigint
    ELSE COALESCE(last_price_yes, (500000000)::bigint)
END)::bigint as price_yes,
    (COALESCE(last_proposal_likes, (0)::bigint))::bigint as proposal_likes,
    (COALESCE(last_proposal_dislikes, (0)::bigint))::bigint as proposal_dislikes,
    (COALESCE((last_proposal_likes + last_proposal_dislikes), (0)::bigint))::bigint as proposal_total_votes,
    (COALESCE(last_dispute_agree, (0)::bigint))::bigint as dispute_agree,
    (COALESCE(last_dispute_disagree, (0)::bigint))::bigint as dispute_disagree,
    (COALESCE((last_dispute_agree + last_dispute_disagree), (0)::bigint))::bigint as dispute_total_votes
from (
select
    market_no,
    id,
    on_chain_address,
    coalesce(is_known, false) as is_known,
    created_key,
    creator_wallet,
    b_parameter,
    initial_liquidity,
    ipfs_question_hash,
    state_key,
    state_code,
    shares_yes,
    shares_no,
    coalesce(total_volume, 0) as total_volume,
    coalesce(trades_count, 0) as trades_count,
    price_key,
    last_price_yes,
    coalesce(protocol_fees_paid, 0) as protocol_fees_paid,
    coalesce(resolver_fees_earned, 0) as resolver_fees_earned,
    coalesce(lp_fees_earned, 0) as lp_fees_earned,
    coalesce(liquidity_change, 0) as liquidity_change,
    coalesce(resolver_paid, false) as resolver_paid,
    coalesce(claims_count, 0) as claims_count,
    coalesce(claims_paid, 0) as claims_paid,
    coalesce(withdrawn_amount, 0) as withdrawn_amount,
    resolution_key,
    resolver_wallet,
    proposed_outcome,
    ipfs_evidence_hash,
    resolution_proposed_at,
    finalization_key,
    final_outcome,
    proposal_key,
    last_proposal_likes,
    last_proposal_dislikes,
    dispute_key,
    last_dispute_agree,
    last_dispute_disagree,
    initiation_key,
    dispute_initiator,
    dispute_initiated_at,
    coalesce(was_disputed, false) as was_disputed,
    created_at,
    approved_at,
    activated_at,
    resolved_at,
    finalized_at,
    cancelled_at,
    liquidity_withdrawn_at,
    last_trade_at,
    lamports_key,
    market_lamports,
    last_order_key,
    last_seq
from (


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
), log as (
    select * from (
        select
            seq, order_key, transaction_no, ordinal, name, market_no, wallet_no, clock, payload, context
        from "raw"."events" as logged
        where retracted_at is null and (order_key < v_bound and (p_market_no is null or market_no = p_market_no))
        and name in ('MarketCreated', 'ProposalAggregated', 'ProposalApproved', 'MarketActivated', 'MarketResolved', 'DisputeInitiated', 'DisputeAggregated', 'MarketFinalized', 'WinningsClaimed', 'LiquidityWithdrawn', 'MarketCancelled', 'ProposalVoteSubmitted', 'DisputeVoteSubmitted')
    ) as events
),

trades as (
    select * from __dbt__cte__stg_trades
),

accounts as (
    select
        market_no,
        market_id as id,
        account as on_chain_address
    from "raw"."markets_seen"
),

events as (
    select
        log.*,
        wallets.wallet,
        case log.name
        when 'MarketCreated' then 0
        when 'ProposalApproved' then 1
        when 'MarketActivated' then 2
        when 'MarketResolved' then 3
        when 'DisputeInitiated' then 4
        when 'DisputeAggregated' then case when (log.payload ->> 'dispute_succeeded')::boolean then 3 else 5 end
        when 'MarketFinalized' then 5
        when 'MarketCancelled' then 6
    end::bigint as state_code,
        case log.name when 'MarketCreated' then (log.payload ->> 'b_parameter')::numeric end as b_parameter,
        (log.context ->> 'market_lamports')::numeric as market_lamports
    from log
    left join "raw"."wallets_seen" as wallets on log.wallet_no = wallets.wallet_no
),

-- The state from the market's life, without trades.
history as (
    select
        market_no,
        bool_or(name = 'MarketCreated') as is_known,
        max(order_key) filter (where name = 'MarketCreated') as created_key,
        (array_agg(wallet order by order_key desc, wallet desc) filter (where name = 'MarketCreated'))[1] as creator_wallet,
        (max(array[order_key, b_parameter]) filter (where name = 'MarketCreated'))[2] as b_parameter,
        max(coalesce(context ->> 'initial_liquidity', payload ->> 'initial_liquidity')::numeric) as initial_liquidity,
        (array_agg(context ->> 'ipfs_question_hash' order by order_key desc, context ->> 'ipfs_question_hash' desc) filter (where name = 'MarketCreated'))[1] as ipfs_question_hash,
        max(order_key) filter (where state_code is not null) as state_key,
        (max(array[order_key, state_code]) filter (where state_code is not null))[2]::int as state_code,
        count(*) filter (where name = 'WinningsClaimed') as claims_count,
        coalesce(sum((payload ->> 'amount')::numeric) filter (where name = 'WinningsClaimed'), 0) as claims_paid,
        coalesce(bool_or(name = 'WinningsClaimed' and payload ->> 'outcome' is not null), false) as resolver_paid,
        max(order_key) filter (where name = 'MarketResolved') as resolution_key,
        (array_agg(wallet order by order_key desc, wallet desc) filter (where name = 'MarketResolved'))[1] as resolver_wallet,
        (max(array[order_key, (payload ->> 'outcome')::boolean::int]) filter (where name = 'MarketResolved'))[2] = 1 as proposed_outcome,
        (array_agg(payload ->> 'evidence_hash' order by order_key desc, payload ->> 'evidence_hash' desc) filter (where name = 'MarketResolved'))[1] as ipfs_evidence_hash,
        max(order_key) filter (where name = 'MarketFinalized') as finalization_key,
        (max(array[order_key, (payload ->> 'final_outcome')::boolean::int]) filter (where name = 'MarketFinalized'))[2] = 1 as final_outcome,
        max(order_key) filter (where name = 'ProposalAggregated') as proposal_key,
        (max(array[order_key, (payload ->> 'likes')::bigint]) filter (where name = 'ProposalAggregated'))[2] as last_proposal_likes,
        (max(array[order_key, (payload ->> 'dislikes')::bigint]) filter (where name = 'ProposalAggregated'))[2] as last_proposal_dislikes,
        max(order_key) filter (where (name in ('DisputeInitiated', 'DisputeAggregated')
    or name = 'MarketFinalized' and (payload ->> 'was_disputed')::boolean and context ->> 'dispute_agree' is not null)) as dispute_key,
        (max(array[order_key, coalesce(payload ->> 'agrees', context ->> 'dispute_agree', '0')::bigint]) filter (where (name in ('DisputeInitiated', 'DisputeAggregated')
    or name = 'MarketFinalized' and (payload ->> 'was_disputed')::boolean and context ->> 'dispute_agree' is not null)))[2] as last_dispute_agree,
        (max(array[order_key, coalesce(payload ->> 'disagrees', context ->> 'dispute_disagree', '0')::bigint]) filter (where (name in ('DisputeInitiated', 'DisputeAggregated')
    or name = 'MarketFinalized' and (payload ->> 'was_disputed')::boolean and context ->> 'dispute_agree' is not null)))[2] as last_dispute_disagree,
        max(order_key) filter (where name = 'DisputeInitiated') as initiation_key,
        (array_agg(wallet order by order_key desc, wallet desc) filter (where name = 'DisputeInitiated'))[1] as dispute_initiator,
        to_timestamp(case when (max(array[order_key, clock]) filter (where name = 'DisputeInitiated'))[2] is not null then least(greatest((max(array[order_key, clock]) filter (where name = 'DisputeInitiated'))[2], 0), 253402300799) end) as dispute_initiated_at,
        coalesce(bool_or(
            name = 'DisputeAggregated' or name = 'MarketFinalized' and (payload ->> 'was_disputed')::boolean
        ), false) as was_disputed,
        coalesce(sum((payload ->> 'amount')::numeric) filter (where name = 'LiquidityWithdrawn'), 0) as withdrawn_amount,
        to_timestamp(case when min(clock) filter (where name = 'MarketCreated') is not null then least(greatest(min(clock) filter (where name = 'MarketCreated'), 0), 253402300799) end) as created_at,
        to_timestamp(case when min(clock) filter (where name = 'ProposalApproved') is not null then least(greatest(min(clock) filter (where name = 'ProposalApproved'), 0), 253402300799) end) as approved_at,
        to_timestamp(case when min(clock) filter (where name = 'MarketActivated') is not null then least(greatest(min(clock) filter (where name = 'MarketActivated'), 0), 253402300799) end) as activated_at,
        to_timestamp(case when (max(array[order_key, clock]) filter (where name = 'MarketResolved'))[2] is not null then least(greatest((max(array[order_key, clock]) filter (where name = 'MarketResolved'))[2], 0), 253402300799) end) as resolution_proposed_at,
        to_timestamp(case when min(clock) filter (where name = 'DisputeAggregated' and not (payload ->> 'dispute_succeeded')::boolean) is not null then least(greatest(min(clock) filter (where name = 'DisputeAggregated' and not (payload ->> 'dispute_succeeded')::boolean), 0), 253402300799) end) as resolved_at,
        to_timestamp(case when min(clock) filter (where name = 'MarketFinalized') is not null then least(greatest(min(clock) filter (where name = 'MarketFinalized'), 0), 253402300799) end) as finalized_at,
        to_timestamp(case when min(clock) filter (where name = 'MarketCancelled') is not null then least(greatest(min(clock) filter (where name = 'MarketCancelled'), 0), 253402300799) end) as cancelled_at,
        to_timestamp(case when min(clock) filter (where name = 'LiquidityWithdrawn') is not null then least(greatest(min(clock) filter (where name = 'LiquidityWithdrawn'), 0), 253402300799) end) as liquidity_withdrawn_at
    from events
    group by market_no
),

-- The totals of its trades, with the fees that stay in the market.
traded as (
    select
        market_no,
        sum(case when is_buy then cost else gross end) as total_volume,
        count(*) as trades_count,
        max(order_key) as price_key,
        (max(array[order_key, price_yes]) filter (where true))[2] as last_price_yes,
        sum(protocol_fee) as protocol_fees_paid,
        sum(resolver_fee) as resolver_fees_earned,
        sum(lp_fee) as lp_fees_earned,
        -- A buy adds only the part of its fees that stays in the market; a sell takes out net and protocol part (protocol.md
        -- 1.4.5, 1.4.6).
        sum(case when is_buy then resolver_fee + lp_fee else -(cost + protocol_fee) end) as liquidity_change,
        to_timestamp(case when max(clock) is not null then least(greatest(max(clock), 0), 253402300799) end) as last_trade_at
    from trades
    group by market_no
),

all_events as (
    select
        market_no,
        order_key,
        seq,
        -- Both sides start with b / 1000 phantom shares (protocol.md 1.4.2).
        div(b_parameter, 1000) as moved_yes,
        div(b_parameter, 1000) as moved_no,
        market_lamports
    from events
    union all
    select
        market_no,
        order_key,
        seq,
        case when is_yes then case when is_buy then shares else -shares end end as moved_yes,
        case when not is_yes then case when is_buy then shares else -shares end end as moved_no,
        market_lamports
    from trades
),

combined as (
    select
        market_no,
        coalesce(sum(moved_yes), 0) as shares_yes,
        coalesce(sum(moved_no), 0) as shares_no,
        max(order_key) filter (where market_lamports is not null) as lamports_key,
        (max(array[order_key, greatest(least(market_lamports, 9223372036854775807), 0)::bigint]) filter (where market_lamports is not null))[2] as market_lamports,
        max(order_key) as last_order_key,
        max(seq) as last_seq
    from all_events
    group by market_no
),

-- Full joins, because Postgres cannot run one as a nested loop. Left joins would be nested loops in a window, whose function
-- disables hash joins, and a window can have hundreds of markets.
final as (
    select *
    from combined
    full join history using (market_no)
    full join traded using (market_no)
    inner join accounts using (market_no)
)

select * from final
) as selected
) as folded;
end
$function$
