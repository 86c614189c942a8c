{{ config(
    fold_key=['market_no'],
    fold_scope=['market_no'],
    fee_sensitive=true,
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
    select * from {{ log_events(life_events) }} as events
),

trades as (
    select * from {{ ref('stg_trades') }}
),

accounts as (
    select
        market_no,
        market_id as id,
        account as on_chain_address
    from {{ source('raw', 'markets_seen') }}
),

events as (
    select
        log.*,
        wallets.wallet,
        {{ state_code_after('log.name', 'log.payload') }}::bigint as state_code,
        case log.name when 'MarketCreated' then (log.payload ->> 'b_parameter')::numeric end as b_parameter,
        (log.context ->> 'market_lamports')::numeric as market_lamports
    from log
    left join {{ source('raw', 'wallets_seen') }} as wallets on log.wallet_no = wallets.wallet_no
),

-- The state from the market's life, without trades.
history as (
    select
        market_no,
        bool_or(name = 'MarketCreated') as is_known,
        max(order_key) filter (where name = 'MarketCreated') as created_key,
        {{ last_text_by('wallet', 'order_key', "name = 'MarketCreated'") }} as creator_wallet,
        {{ last_by('b_parameter', 'order_key', "name = 'MarketCreated'") }} as b_parameter,
        max(coalesce(context ->> 'initial_liquidity', payload ->> 'initial_liquidity')::numeric) as initial_liquidity,
        {{ last_text_by("context ->> 'ipfs_question_hash'", 'order_key', "name = 'MarketCreated'") }} as ipfs_question_hash,
        max(order_key) filter (where state_code is not null) as state_key,
        {{ last_by('state_code', 'order_key', 'state_code is not null') }}::int as state_code,
        count(*) filter (where name = 'WinningsClaimed') as claims_count,
        coalesce(sum((payload ->> 'amount')::numeric) filter (where name = 'WinningsClaimed'), 0) as claims_paid,
        coalesce(bool_or(name = 'WinningsClaimed' and payload ->> 'outcome' is not null), false) as resolver_paid,
        max(order_key) filter (where name = 'MarketResolved') as resolution_key,
        {{ last_text_by('wallet', 'order_key', "name = 'MarketResolved'") }} as resolver_wallet,
        {{ last_by("(payload ->> 'outcome')::boolean::int", 'order_key', "name = 'MarketResolved'") }} = 1 as proposed_outcome,
        {{ last_text_by("payload ->> 'evidence_hash'", 'order_key', "name = 'MarketResolved'") }} as ipfs_evidence_hash,
        max(order_key) filter (where name = 'MarketFinalized') as finalization_key,
        {{ last_by("(payload ->> 'final_outcome')::boolean::int", 'order_key', "name = 'MarketFinalized'") }} = 1 as final_outcome,
        max(order_key) filter (where name = 'ProposalAggregated') as proposal_key,
        {{ last_by("(payload ->> 'likes')::bigint", 'order_key', "name = 'ProposalAggregated'") }} as last_proposal_likes,
        {{ last_by("(payload ->> 'dislikes')::bigint", 'order_key', "name = 'ProposalAggregated'") }} as last_proposal_dislikes,
        max(order_key) filter (where {{ counts_a_dispute }}) as dispute_key,
        {{ last_by("coalesce(payload ->> 'agrees', context ->> 'dispute_agree', '0')::bigint", 'order_key',
            counts_a_dispute) }} as last_dispute_agree,
        {{ last_by("coalesce(payload ->> 'disagrees', context ->> 'dispute_disagree', '0')::bigint", 'order_key',
            counts_a_dispute) }} as last_dispute_disagree,
        max(order_key) filter (where name = 'DisputeInitiated') as initiation_key,
        {{ last_text_by('wallet', 'order_key', "name = 'DisputeInitiated'") }} as dispute_initiator,
        {{ instant(last_by('clock', 'order_key', "name = 'DisputeInitiated'")) }} as dispute_initiated_at,
        coalesce(bool_or(
            name = 'DisputeAggregated' or name = 'MarketFinalized' and (payload ->> 'was_disputed')::boolean
        ), false) as was_disputed,
        coalesce(sum((payload ->> 'amount')::numeric) filter (where name = 'LiquidityWithdrawn'), 0) as withdrawn_amount,
        {{ instant("min(clock) filter (where name = 'MarketCreated')") }} as created_at,
        {{ instant("min(clock) filter (where name = 'ProposalApproved')") }} as approved_at,
        {{ instant("min(clock) filter (where name = 'MarketActivated')") }} as activated_at,
        {{ instant(last_by('clock', 'order_key', "name = 'MarketResolved'")) }} as resolution_proposed_at,
        {{ instant("min(clock) filter (where name = 'DisputeAggregated' and not (payload ->> 'dispute_succeeded')::boolean)") }} as resolved_at,
        {{ instant("min(clock) filter (where name = 'MarketFinalized')") }} as finalized_at,
        {{ instant("min(clock) filter (where name = 'MarketCancelled')") }} as cancelled_at,
        {{ instant("min(clock) filter (where name = 'LiquidityWithdrawn')") }} as liquidity_withdrawn_at
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
        {{ last_by('price_yes', 'order_key', 'true') }} as last_price_yes,
        sum(protocol_fee) as protocol_fees_paid,
        sum(resolver_fee) as resolver_fees_earned,
        sum(lp_fee) as lp_fees_earned,
        -- A buy adds only the part of its fees that stays in the market; a sell takes out net and protocol part (protocol.md
        -- 1.4.5, 1.4.6).
        sum(case when is_buy then resolver_fee + lp_fee else -(cost + protocol_fee) end) as liquidity_change,
        {{ instant('max(clock)') }} as last_trade_at
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
        {{ last_by('greatest(least(market_lamports, 9223372036854775807), 0)::bigint', 'order_key', 'market_lamports is not null') }} as market_lamports,
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
