{{ config(
    fold_key=['seq'],
    fold_scope=['seq'],
    indexes=['order_key'],
) }}

with log as (
    select * from {{ log_events(['GlobalConfigInitialized', 'ConfigUpdated', 'ProtocolPauseStatusChanged'], signatures=true) }} as events
),

wallets as (
    select * from {{ source('raw', 'wallets_seen') }}
),

-- GlobalConfigInitialized names only one rate; the rest of what initialize sets is fixed (protocol.md 1.4.1).
events as (
    select
        *,
        name = 'GlobalConfigInitialized' as is_initial
    from log
),

final as (
    select
        events.seq,
        events.order_key,
        events.name as event,
        (events.payload ->> 'protocol_fee_bps')::int as protocol_fee_bps,
        case when events.is_initial then 200 else (events.payload ->> 'resolver_reward_bps')::int end as resolver_reward_bps,
        case
            when events.is_initial then 500 else (events.payload ->> 'liquidity_provider_fee_bps')::int
        end as liquidity_provider_fee_bps,
        case
            when events.is_initial then 7000 else (events.payload ->> 'proposal_approval_threshold')::int
        end as proposal_approval_threshold,
        case
            when events.is_initial then 6000 else (events.payload ->> 'dispute_success_threshold')::int
        end as dispute_success_threshold,
        case when events.is_initial then 86400 else (events.payload ->> 'min_resolution_delay')::bigint end as min_resolution_delay,
        case when events.is_initial then 259200 else (events.payload ->> 'dispute_period')::bigint end as dispute_period,
        case when events.is_initial then false else (events.payload ->> 'is_paused')::boolean end as is_paused,
        case when events.is_initial then wallets.wallet end as admin,
        events.payload ->> 'backend_authority' as backend_authority,
        events.signature as tx_signature,
        {{ instant('events.clock') }} as block_time,
        events.seq as last_seq
    from events
    left join wallets on events.wallet_no = wallets.wallet_no
)

select * from final
