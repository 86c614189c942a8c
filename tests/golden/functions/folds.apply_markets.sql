CREATE OR REPLACE FUNCTION folds.apply_markets(p_from bigint, p_to bigint, p_is_prepared boolean DEFAULT false, p_affected bigint[] DEFAULT NULL::bigint[], p_staged folds.stg_trades_b5dd4e38[] DEFAULT NULL::folds.stg_trades_b5dd4e38[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
 SET enable_seqscan TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
AS $function$
-- Written by folds.create_functions from sql_models/folds/markets.sql; edit that file.
--
-- Merges the window (p_from, p_to] of the log into marts.markets. First, rows whose earlier events the window changes are folded
-- again. Then the model's select runs over the window, and its result is merged: t is the row before, s the result of the window.
-- A caller of several models prepares the parts that they share and passes them. Otherwise the function prepares them itself.
declare
    v_affected bigint [] := p_affected;
    v_staged folds.stg_trades_b5dd4e38 [] := p_staged;
begin
if not p_is_prepared then
    v_affected := folds.affected_seqs(p_from, p_to, 't');
    v_staged := folds.stg_trades_b5dd4e38(p_from, p_to);
end if;
if v_affected is not null then
    perform folds.refold_markets(v_affected, p_from);
end if;

-- One row per market_no. The rule of each column is behind it: the result of combining two partial results of one row.
merge into marts.markets as t
using (
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
select * from unnest(v_staged)
), log as (
    select * from (
        select
            seq, order_key, transaction_no, ordinal, name, market_no, wallet_no, clock, payload, context
        from "raw"."events" as logged
        where retracted_at is null and (seq > p_from and seq <= p_to)
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
) as s on t.market_no = s.market_no
when matched then update set
    id = coalesce(t.id, s.id) /* any */,
    on_chain_address = coalesce(t.on_chain_address, s.on_chain_address) /* any */,
    is_known = coalesce(t.is_known or s.is_known, t.is_known, s.is_known) /* or */,
    created_key = greatest(t.created_key, s.created_key) /* max */,
    creator_wallet = case
        when s.created_key is null or t.created_key > s.created_key then t.creator_wallet
        when t.created_key = s.created_key then greatest(t.creator_wallet, s.creator_wallet) else s.creator_wallet
    end /* last created_key */,
    b_parameter = case
        when s.created_key is null or t.created_key > s.created_key then t.b_parameter
        when t.created_key = s.created_key then greatest(t.b_parameter, s.b_parameter) else s.b_parameter
    end /* last created_key */,
    initial_liquidity = greatest(t.initial_liquidity, s.initial_liquidity) /* max */,
    ipfs_question_hash = case
        when s.created_key is null or t.created_key > s.created_key then t.ipfs_question_hash
        when t.created_key = s.created_key then greatest(t.ipfs_question_hash, s.ipfs_question_hash) else s.ipfs_question_hash
    end /* last created_key */,
    state_key = greatest(t.state_key, s.state_key) /* max */,
    state_code = case
        when s.state_key is null or t.state_key > s.state_key then t.state_code
        when t.state_key = s.state_key then greatest(t.state_code, s.state_code) else s.state_code
    end /* last state_key */,
    shares_yes = coalesce(t.shares_yes + s.shares_yes, t.shares_yes, s.shares_yes) /* sum */,
    shares_no = coalesce(t.shares_no + s.shares_no, t.shares_no, s.shares_no) /* sum */,
    total_volume = coalesce(t.total_volume + s.total_volume, t.total_volume, s.total_volume) /* sum */,
    trades_count = coalesce(t.trades_count + s.trades_count, t.trades_count, s.trades_count) /* sum */,
    price_key = greatest(t.price_key, s.price_key) /* max */,
    last_price_yes = case
        when s.price_key is null or t.price_key > s.price_key then t.last_price_yes
        when t.price_key = s.price_key then greatest(t.last_price_yes, s.last_price_yes) else s.last_price_yes
    end /* last price_key */,
    protocol_fees_paid = coalesce(t.protocol_fees_paid + s.protocol_fees_paid, t.protocol_fees_paid, s.protocol_fees_paid) /* sum */,
    resolver_fees_earned = coalesce(t.resolver_fees_earned + s.resolver_fees_earned, t.resolver_fees_earned, s.resolver_fees_earned) /* sum */,
    lp_fees_earned = coalesce(t.lp_fees_earned + s.lp_fees_earned, t.lp_fees_earned, s.lp_fees_earned) /* sum */,
    liquidity_change = coalesce(t.liquidity_change + s.liquidity_change, t.liquidity_change, s.liquidity_change) /* sum */,
    resolver_paid = coalesce(t.resolver_paid or s.resolver_paid, t.resolver_paid, s.resolver_paid) /* or */,
    claims_count = coalesce(t.claims_count + s.claims_count, t.claims_count, s.claims_count) /* sum */,
    claims_paid = coalesce(t.claims_paid + s.claims_paid, t.claims_paid, s.claims_paid) /* sum */,
    withdrawn_amount = coalesce(t.withdrawn_amount + s.withdrawn_amount, t.withdrawn_amount, s.withdrawn_amount) /* sum */,
    resolution_key = greatest(t.resolution_key, s.resolution_key) /* max */,
    resolver_wallet = case
        when s.resolution_key is null or t.resolution_key > s.resolution_key then t.resolver_wallet
        when t.resolution_key = s.resolution_key then greatest(t.resolver_wallet, s.resolver_wallet) else s.resolver_wallet
    end /* last resolution_key */,
    proposed_outcome = case
        when s.resolution_key is null or t.resolution_key > s.resolution_key then t.proposed_outcome
        when t.resolution_key = s.resolution_key then greatest(t.proposed_outcome, s.proposed_outcome) else s.proposed_outcome
    end /* last resolution_key */,
    ipfs_evidence_hash = case
        when s.resolution_key is null or t.resolution_key > s.resolution_key then t.ipfs_evidence_hash
        when t.resolution_key = s.resolution_key then greatest(t.ipfs_evidence_hash, s.ipfs_evidence_hash) else s.ipfs_evidence_hash
    end /* last resolution_key */,
    resolution_proposed_at = case
        when s.resolution_key is null or t.resolution_key > s.resolution_key then t.resolution_proposed_at
        when t.resolution_key = s.resolution_key then greatest(t.resolution_proposed_at, s.resolution_proposed_at) else s.resolution_proposed_at
    end /* last resolution_key */,
    finalization_key = greatest(t.finalization_key, s.finalization_key) /* max */,
    final_outcome = case
        when s.finalization_key is null or t.finalization_key > s.finalization_key then t.final_outcome
        when t.finalization_key = s.finalization_key then greatest(t.final_outcome, s.final_outcome) else s.final_outcome
    end /* last finalization_key */,
    proposal_key = greatest(t.proposal_key, s.proposal_key) /* max */,
    last_proposal_likes = case
        when s.proposal_key is null or t.proposal_key > s.proposal_key then t.last_proposal_likes
        when t.proposal_key = s.proposal_key then greatest(t.last_proposal_likes, s.last_proposal_likes) else s.last_proposal_likes
    end /* last proposal_key */,
    last_proposal_dislikes = case
        when s.proposal_key is null or t.proposal_key > s.proposal_key then t.last_proposal_dislikes
        when t.proposal_key = s.proposal_key then greatest(t.last_proposal_dislikes, s.last_proposal_dislikes) else s.last_proposal_dislikes
    end /* last proposal_key */,
    dispute_key = greatest(t.dispute_key, s.dispute_key) /* max */,
    last_dispute_agree = case
        when s.dispute_key is null or t.dispute_key > s.dispute_key then t.last_dispute_agree
        when t.dispute_key = s.dispute_key then greatest(t.last_dispute_agree, s.last_dispute_agree) else s.last_dispute_agree
    end /* last dispute_key */,
    last_dispute_disagree = case
        when s.dispute_key is null or t.dispute_key > s.dispute_key then t.last_dispute_disagree
        when t.dispute_key = s.dispute_key then greatest(t.last_dispute_disagree, s.last_dispute_disagree) else s.last_dispute_disagree
    end /* last dispute_key */,
    initiation_key = greatest(t.initiation_key, s.initiation_key) /* max */,
    dispute_initiator = case
        when s.initiation_key is null or t.initiation_key > s.initiation_key then t.dispute_initiator
        when t.initiation_key = s.initiation_key then greatest(t.dispute_initiator, s.dispute_initiator) else s.dispute_initiator
    end /* last initiation_key */,
    dispute_initiated_at = case
        when s.initiation_key is null or t.initiation_key > s.initiation_key then t.dispute_initiated_at
        when t.initiation_key = s.initiation_key then greatest(t.dispute_initiated_at, s.dispute_initiated_at) else s.dispute_initiated_at
    end /* last initiation_key */,
    was_disputed = coalesce(t.was_disputed or s.was_disputed, t.was_disputed, s.was_disputed) /* or */,
    created_at = least(t.created_at, s.created_at) /* min */,
    approved_at = least(t.approved_at, s.approved_at) /* min */,
    activated_at = least(t.activated_at, s.activated_at) /* min */,
    resolved_at = least(t.resolved_at, s.resolved_at) /* min */,
    finalized_at = least(t.finalized_at, s.finalized_at) /* min */,
    cancelled_at = least(t.cancelled_at, s.cancelled_at) /* min */,
    liquidity_withdrawn_at = least(t.liquidity_withdrawn_at, s.liquidity_withdrawn_at) /* min */,
    last_trade_at = greatest(t.last_trade_at, s.last_trade_at) /* max */,
    lamports_key = greatest(t.lamports_key, s.lamports_key) /* max */,
    market_lamports = case
        when s.lamports_key is null or t.lamports_key > s.lamports_key then t.market_lamports
        when t.lamports_key = s.lamports_key then greatest(t.market_lamports, s.market_lamports) else s.market_lamports
    end /* last lamports_key */,
    last_order_key = greatest(t.last_order_key, s.last_order_key) /* max */,
    last_seq = greatest(t.last_seq, s.last_seq) /* max */
when not matched then insert (
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
    last_seq
) values (
    s.market_no,
    s.id,
    s.on_chain_address,
    s.is_known,
    s.created_key,
    s.creator_wallet,
    s.b_parameter,
    s.initial_liquidity,
    s.ipfs_question_hash,
    s.state_key,
    s.state_code,
    s.shares_yes,
    s.shares_no,
    s.total_volume,
    s.trades_count,
    s.price_key,
    s.last_price_yes,
    s.protocol_fees_paid,
    s.resolver_fees_earned,
    s.lp_fees_earned,
    s.liquidity_change,
    s.resolver_paid,
    s.claims_count,
    s.claims_paid,
    s.withdrawn_amount,
    s.resolution_key,
    s.resolver_wallet,
    s.proposed_outcome,
    s.ipfs_evidence_hash,
    s.resolution_proposed_at,
    s.finalization_key,
    s.final_outcome,
    s.proposal_key,
    s.last_proposal_likes,
    s.last_proposal_dislikes,
    s.dispute_key,
    s.last_dispute_agree,
    s.last_dispute_disagree,
    s.initiation_key,
    s.dispute_initiator,
    s.dispute_initiated_at,
    s.was_disputed,
    s.created_at,
    s.approved_at,
    s.activated_at,
    s.resolved_at,
    s.finalized_at,
    s.cancelled_at,
    s.liquidity_withdrawn_at,
    s.last_trade_at,
    s.lamports_key,
    s.market_lamports,
    s.last_order_key,
    s.last_seq
);
end
$function$
