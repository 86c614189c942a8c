-- The configuration after each event that changed it: the values that the event set, and earlier values that are still valid.
-- The first row has the values of initialize (protocol.md 1.4.1); it is used for a history whose beginning is not in the log.
with events as (
    select
        order_key,
        protocol_fee_bps,
        resolver_reward_bps,
        liquidity_provider_fee_bps,
        proposal_approval_threshold,
        dispute_success_threshold,
        min_resolution_delay,
        dispute_period,
        is_paused,
        admin,
        backend_authority,
        tx_signature,
        block_time,
        last_seq
    from {{ ref('protocol_config') }}
    union all
    select
        0 as order_key,
        300 as protocol_fee_bps,
        200 as resolver_reward_bps,
        500 as liquidity_provider_fee_bps,
        7000 as proposal_approval_threshold,
        6000 as dispute_success_threshold,
        86400 as min_resolution_delay,
        259200 as dispute_period,
        false as is_paused,
        null as admin,
        null as backend_authority,
        null as tx_signature,
        null as block_time,
        0 as last_seq
)

select
    order_key,
    order_key >> 24 as slot,
    {{ latest_of('protocol_fee_bps', 'int') }} as protocol_fee_bps,
    {{ latest_of('resolver_reward_bps', 'int') }} as resolver_reward_bps,
    {{ latest_of('liquidity_provider_fee_bps', 'int') }} as liquidity_provider_fee_bps,
    {{ latest_of('proposal_approval_threshold', 'int') }} as proposal_approval_threshold,
    {{ latest_of('dispute_success_threshold', 'int') }} as dispute_success_threshold,
    {{ latest_of('min_resolution_delay', 'bigint') }} as min_resolution_delay,
    {{ latest_of('dispute_period', 'bigint') }} as dispute_period,
    {{ latest_of('is_paused::int', 'int') }} = 1 as is_paused,
    -- Set once, by initialize; no instruction changes them.
    max(admin) over so_far as admin,
    max(backend_authority) over so_far as backend_authority,
    tx_signature,
    block_time,
    max(last_seq) over so_far as last_seq
from events
window so_far as (order by order_key)
