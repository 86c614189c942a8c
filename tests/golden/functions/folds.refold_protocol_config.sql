CREATE OR REPLACE FUNCTION folds.refold_protocol_config(p_affected bigint[], p_upto bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_hashjoin TO 'on'
 SET enable_mergejoin TO 'on'
 SET enable_seqscan TO 'on'
 SET plan_cache_mode TO 'auto'
AS $function$
-- Written by folds.create_functions from sql_models/folds/protocol_config.sql; edit that file.
--
-- Folds the rows of marts.protocol_config that these events affect again from their whole history up to p_upto: after a retraction, a settled
-- order, or another change of events that were folded before. A row is found by (seq).
begin
delete from marts.protocol_config as t using (select distinct k.seq from raw.events as k where k.seq = any(p_affected)) as k where t.seq = k.seq;
insert into marts.protocol_config (seq, order_key, event, protocol_fee_bps, resolver_reward_bps, liquidity_provider_fee_bps, proposal_approval_threshold, dispute_success_threshold, min_resolution_delay, dispute_period, is_paused, admin, backend_authority, tx_signature, block_time, last_seq)
select seq, order_key, event, protocol_fee_bps, resolver_reward_bps, liquidity_provider_fee_bps, proposal_approval_threshold, dispute_success_threshold, min_resolution_delay, dispute_period, is_paused, admin, backend_authority, tx_signature, block_time, last_seq from (


with log as (
    select * from (
        select
            seq, order_key, transaction_no, ordinal, name, market_no, wallet_no, clock, payload, context,
            (
                select transactions.signature from "raw"."transactions" as transactions
                where transactions.transaction_no = logged.transaction_no
            ) as signature
        from "raw"."events" as logged
        where retracted_at is null and ((seq) in (select k.seq from raw.events as k where k.seq = any(p_affected)) and seq <= p_upto)
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
) as refolded;
end
$function$
