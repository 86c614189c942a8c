CREATE OR REPLACE FUNCTION marts.protocol_config_as_of(p_slot bigint, p_market_no integer DEFAULT NULL::integer)
 RETURNS TABLE(seq bigint, order_key bigint, event text, protocol_fee_bps integer, resolver_reward_bps integer, liquidity_provider_fee_bps integer, proposal_approval_threshold integer, dispute_success_threshold integer, min_resolution_delay bigint, dispute_period bigint, is_paused boolean, admin text, backend_authority text, tx_signature text, block_time timestamp with time zone, last_seq bigint)
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
    event,
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
from (


with log as (
    select * from (
        select
            seq, order_key, transaction_no, ordinal, name, market_no, wallet_no, clock, payload, context,
            (
                select transactions.signature from "raw"."transactions" as transactions
                where transactions.transaction_no = logged.transaction_no
            ) as signature
        from "raw"."events" as logged
        where retracted_at is null and (order_key < v_bound and (p_market_no is null or market_no = p_market_no))
        and name in ('GlobalConfigInitialized', 'ConfigUpdated', 'ProtocolPauseStatusChanged')
    ) as events
),

wallets as (
    select * from "raw"."wallets_seen"
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
        to_timestamp(case when events.clock is not null then least(greatest(events.clock, 0), 253402300799) end) as block_time,
        events.seq as last_seq
    from events
    left join wallets on events.wallet_no = wallets.wallet_no
)

select * from final
) as folded;
end
$function$
