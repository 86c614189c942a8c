{{ config(
    fold_key=['market_no'],
    fold_scope=['market_no'],
    listens_to=[
        'MarketCreated', 'ProposalAggregated', 'ProposalApproved', 'MarketActivated', 'SharesBought', 'SharesSold',
        'MarketResolved', 'DisputeInitiated', 'DisputeAggregated', 'MarketFinalized', 'WinningsClaimed', 'LiquidityWithdrawn',
        'MarketCancelled', 'ProposalVoteSubmitted', 'DisputeVoteSubmitted', 'ConfigUpdated', 'GlobalConfigInitialized',
    ],
    fee_sensitive=true,
    combine={
        'id': 'any', 'on_chain_address': 'any', 'is_known': 'or',
        'created_key': 'max', 'creator_wallet': 'last created_key', 'b_parameter': 'last created_key',
        'ipfs_question_hash': 'last created_key', 'initial_liquidity': 'max',
        'state_key': 'max', 'state_code': 'last state_key',
        'shares_yes': 'sum', 'shares_no': 'sum', 'total_volume': 'sum', 'trades_count': 'sum',
        'price_key': 'max', 'last_price_yes': 'last price_key',
        'protocol_fees_paid': 'sum', 'resolver_fees_earned': 'sum', 'lp_fees_earned': 'sum', 'liquidity_change': 'sum',
        'resolver_paid': 'or', 'claims_count': 'sum', 'claims_paid': 'sum', 'withdrawn_amount': 'sum',
        'resolution_key': 'max', 'resolver_wallet': 'last resolution_key', 'proposed_outcome': 'last resolution_key',
        'ipfs_evidence_hash': 'last resolution_key', 'resolution_proposed_at': 'last resolution_key',
        'finalization_key': 'max', 'final_outcome': 'last finalization_key',
        'proposal_key': 'max', 'last_proposal_likes': 'last proposal_key', 'last_proposal_dislikes': 'last proposal_key',
        'dispute_key': 'max', 'last_dispute_agree': 'last dispute_key', 'last_dispute_disagree': 'last dispute_key',
        'initiation_key': 'max', 'dispute_initiator': 'last initiation_key', 'dispute_initiated_at': 'last initiation_key',
        'was_disputed': 'or',
        'created_at': 'min', 'approved_at': 'min', 'activated_at': 'min', 'resolved_at': 'min', 'finalized_at': 'min',
        'cancelled_at': 'min', 'liquidity_withdrawn_at': 'min', 'last_trade_at': 'max',
        'lamports_key': 'max', 'market_lamports': 'last lamports_key', 'last_order_key': 'max', 'last_seq': 'max',
    },
    indexes=[
        'state_code, created_at desc', 'creator_wallet', 'created_at, market_no', 'ipfs_question_hash', 'ipfs_evidence_hash',
    ],
) }}

{#- Trades come through stg_trades alone: most events are trades, and most of the following columns ignore them. #}
{%- set life_events = [
    'MarketCreated', 'ProposalAggregated', 'ProposalApproved', 'MarketActivated', 'MarketResolved', 'DisputeInitiated',
    'DisputeAggregated', 'MarketFinalized', 'WinningsClaimed', 'LiquidityWithdrawn', 'MarketCancelled',
    'ProposalVoteSubmitted', 'DisputeVoteSubmitted',
] %}
{#- Opening a dispute zeroes its counters; both ways of settling one write them (protocol.md 1.4.8, 1.4.9, 1.4.15). #}
{%- set counts_a_dispute -%}
    (name in ('DisputeInitiated', 'DisputeAggregated')
    or name = 'MarketFinalized' and (payload ->> 'was_disputed')::boolean and context ->> 'dispute_agree' is not null)
{%- endset %}

with log as (
    select
        *,
        {{ state_code_after('name', 'payload') }}::bigint as state_code
    from {{ log_events(life_events) }} as events
),

-- The state from the market's life, without trades.
history as (
    select
        market_no,
        max(order_key) filter (where name = 'MarketCreated') as created_key,
        {{ last_by('wallet_no', 'order_key', "name = 'MarketCreated'") }} as creator_no,
        {{ last_by("(payload ->> 'b_parameter')::numeric", 'order_key', "name = 'MarketCreated'") }} as b_parameter,
        max(coalesce(context ->> 'initial_liquidity', payload ->> 'initial_liquidity')::numeric) as initial_liquidity,
        {{ last_text_by("context ->> 'ipfs_question_hash'", 'order_key', "name = 'MarketCreated'") }} as ipfs_question_hash,
        max(order_key) filter (where state_code is not null) as state_key,
        {{ last_by('state_code', 'order_key', 'state_code is not null') }} as state_code,
        count(*) filter (where name = 'WinningsClaimed') as claims_count,
        coalesce(sum((payload ->> 'amount')::numeric) filter (where name = 'WinningsClaimed'), 0) as claims_paid,
        coalesce(bool_or(name = 'WinningsClaimed' and payload ->> 'outcome' is not null), false) as resolver_paid,
        max(order_key) filter (where name = 'MarketResolved') as resolution_key,
        {{ last_by('wallet_no', 'order_key', "name = 'MarketResolved'") }} as resolver_no,
        {{ last_by("(payload ->> 'outcome')::boolean::int", 'order_key', "name = 'MarketResolved'") }} as proposed_outcome,
        {{ last_text_by("payload ->> 'evidence_hash'", 'order_key', "name = 'MarketResolved'") }} as ipfs_evidence_hash,
        max(order_key) filter (where name = 'MarketFinalized') as finalization_key,
        {{ last_by("(payload ->> 'final_outcome')::boolean::int", 'order_key', "name = 'MarketFinalized'") }} as final_outcome,
        max(order_key) filter (where name = 'ProposalAggregated') as proposal_key,
        {{ last_by("(payload ->> 'likes')::bigint", 'order_key', "name = 'ProposalAggregated'") }} as last_proposal_likes,
        {{ last_by("(payload ->> 'dislikes')::bigint", 'order_key', "name = 'ProposalAggregated'") }} as last_proposal_dislikes,
        max(order_key) filter (where {{ counts_a_dispute }}) as dispute_key,
        {{ last_by("coalesce(payload ->> 'agrees', context ->> 'dispute_agree', '0')::bigint", 'order_key',
            counts_a_dispute) }} as last_dispute_agree,
        {{ last_by("coalesce(payload ->> 'disagrees', context ->> 'dispute_disagree', '0')::bigint", 'order_key',
            counts_a_dispute) }} as last_dispute_disagree,
        max(order_key) filter (where name = 'DisputeInitiated') as initiation_key,
        {{ last_by('wallet_no', 'order_key', "name = 'DisputeInitiated'") }} as initiator_no,
        {{ last_by('clock', 'order_key', "name = 'DisputeInitiated'") }} as initiated_clock,
        coalesce(bool_or(
            name = 'DisputeAggregated' or name = 'MarketFinalized' and (payload ->> 'was_disputed')::boolean
        ), false) as was_disputed,
        coalesce(sum((payload ->> 'amount')::numeric) filter (where name = 'LiquidityWithdrawn'), 0) as withdrawn_amount,
        min(clock) filter (where name = 'MarketCreated') as created_clock,
        min(clock) filter (where name = 'ProposalApproved') as approved_clock,
        min(clock) filter (where name = 'MarketActivated') as activated_clock,
        {{ last_by('clock', 'order_key', "name = 'MarketResolved'") }} as resolution_proposed_clock,
        min(clock) filter (where name = 'DisputeAggregated' and not (payload ->> 'dispute_succeeded')::boolean) as resolved_clock,
        min(clock) filter (where name = 'MarketFinalized') as finalized_clock,
        min(clock) filter (where name = 'MarketCancelled') as cancelled_clock,
        min(clock) filter (where name = 'LiquidityWithdrawn') as withdrawn_clock,
        max(order_key) filter (where context ->> 'market_lamports' is not null) as lamports_key,
        {{ last_by("greatest(least((context ->> 'market_lamports')::numeric, 9223372036854775807), 0)::bigint", 'order_key',
            "context ->> 'market_lamports' is not null") }} as market_lamports,
        max(order_key) as last_order_key,
        max(seq) as last_seq
    from log
    group by market_no
),

-- The totals of its trades, with the fees that stay in the market.
traded as (
    select
        market_no,
        sum(case when is_buy then shares else -shares end) filter (where outcome) as traded_yes,
        sum(case when is_buy then shares else -shares end) filter (where not outcome) as traded_no,
        sum(case when is_buy then cost else gross end) as total_volume,
        count(*) as trades_count,
        max(order_key) as price_key,
        {{ last_by('least(new_price_yes, 999999999999999999)::bigint', 'order_key', 'true') }} as last_price_yes,
        sum(protocol_fee) as protocol_fees_paid,
        sum(resolver_fee) as resolver_fees_earned,
        sum(lp_fee) as lp_fees_earned,
        -- A buy adds only the part of its fees that stays in the market; a sell takes out net and protocol part (protocol.md
        -- 1.4.5, 1.4.6).
        sum(case when is_buy then resolver_fee + lp_fee else -(cost + protocol_fee) end) as liquidity_change,
        max(clock) as last_trade_clock,
        max(order_key) filter (where market_lamports is not null) as lamports_key,
        {{ last_by('greatest(least(market_lamports, 9223372036854775807), 0)::bigint', 'order_key', 'market_lamports is not null') }} as market_lamports,
        max(seq) as last_seq
    from {{ ref('stg_trades') }}
    group by market_no
),

both_parts as (
    select
        history.*,
        traded.traded_yes,
        traded.traded_no,
        traded.total_volume,
        traded.trades_count,
        traded.price_key,
        traded.last_price_yes,
        traded.protocol_fees_paid,
        traded.resolver_fees_earned,
        traded.lp_fees_earned,
        traded.liquidity_change,
        traded.last_trade_clock,
        coalesce(history.market_no, traded.market_no) as number,
        case
            when coalesce(traded.lamports_key, 0) > coalesce(history.lamports_key, 0)
                then traded.market_lamports
            else history.market_lamports
        end as newest_lamports,
        greatest(history.lamports_key, traded.lamports_key) as newest_lamports_key,
        greatest(history.last_order_key, traded.price_key) as newest_order_key,
        greatest(history.last_seq, traded.last_seq) as newest_seq
    from history
    full join traded on history.market_no = traded.market_no
)

select
    parts.number as market_no,
    seen.market_id as id,
    seen.account as on_chain_address,
    parts.created_key is not null as is_known,
    parts.created_key,
    creators.wallet as creator_wallet,
    parts.b_parameter::numeric(39, 0) as b_parameter,
    parts.initial_liquidity::numeric(39, 0) as initial_liquidity,
    parts.ipfs_question_hash,
    parts.state_key,
    parts.state_code::int as state_code,
    -- Both sides start with b / 1000 phantom shares (protocol.md 1.4.2).
    (coalesce(div(parts.b_parameter, 1000), 0) + coalesce(parts.traded_yes, 0))::numeric(39, 0) as shares_yes,
    (coalesce(div(parts.b_parameter, 1000), 0) + coalesce(parts.traded_no, 0))::numeric(39, 0) as shares_no,
    coalesce(parts.total_volume, 0)::numeric(39, 0) as total_volume,
    coalesce(parts.trades_count, 0) as trades_count,
    parts.price_key,
    parts.last_price_yes,
    coalesce(parts.protocol_fees_paid, 0)::numeric(39, 0) as protocol_fees_paid,
    coalesce(parts.resolver_fees_earned, 0)::numeric(39, 0) as resolver_fees_earned,
    coalesce(parts.lp_fees_earned, 0)::numeric(39, 0) as lp_fees_earned,
    coalesce(parts.liquidity_change, 0)::numeric(39, 0) as liquidity_change,
    coalesce(parts.resolver_paid, false) as resolver_paid,
    coalesce(parts.claims_count, 0) as claims_count,
    coalesce(parts.claims_paid, 0)::numeric(39, 0) as claims_paid,
    coalesce(parts.withdrawn_amount, 0)::numeric(39, 0) as withdrawn_amount,
    parts.resolution_key,
    resolvers.wallet as resolver_wallet,
    parts.proposed_outcome = 1 as proposed_outcome,
    parts.ipfs_evidence_hash,
    {{ instant('parts.resolution_proposed_clock') }} as resolution_proposed_at,
    parts.finalization_key,
    parts.final_outcome = 1 as final_outcome,
    parts.proposal_key,
    parts.last_proposal_likes,
    parts.last_proposal_dislikes,
    parts.dispute_key,
    parts.last_dispute_agree,
    parts.last_dispute_disagree,
    parts.initiation_key,
    initiators.wallet as dispute_initiator,
    {{ instant('parts.initiated_clock') }} as dispute_initiated_at,
    coalesce(parts.was_disputed, false) as was_disputed,
    {{ instant('parts.created_clock') }} as created_at,
    {{ instant('parts.approved_clock') }} as approved_at,
    {{ instant('parts.activated_clock') }} as activated_at,
    {{ instant('parts.resolved_clock') }} as resolved_at,
    {{ instant('parts.finalized_clock') }} as finalized_at,
    {{ instant('parts.cancelled_clock') }} as cancelled_at,
    {{ instant('parts.withdrawn_clock') }} as liquidity_withdrawn_at,
    {{ instant('parts.last_trade_clock') }} as last_trade_at,
    parts.newest_lamports_key as lamports_key,
    parts.newest_lamports as market_lamports,
    parts.newest_order_key as last_order_key,
    parts.newest_seq as last_seq
from both_parts as parts
inner join {{ source('raw', 'markets_seen') }} as seen on parts.number = seen.market_no
left join {{ source('raw', 'wallets_seen') }} as creators on parts.creator_no = creators.wallet_no
left join {{ source('raw', 'wallets_seen') }} as resolvers on parts.resolver_no = resolvers.wallet_no
left join {{ source('raw', 'wallets_seen') }} as initiators on parts.initiator_no = initiators.wallet_no
