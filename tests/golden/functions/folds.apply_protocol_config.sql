CREATE OR REPLACE FUNCTION folds.apply_protocol_config(p_from bigint, p_to bigint, p_is_prepared boolean DEFAULT false, p_affected bigint[] DEFAULT NULL::bigint[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
 SET enable_seqscan TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
AS $function$
-- Written by folds.create_functions from sql_models/folds/protocol_config.sql; edit that file.
--
-- Merges the window (p_from, p_to] of the log into marts.protocol_config. First, rows whose earlier events the window changes are folded
-- again. Then the model's select runs over the window, and its result is merged: t is the row before, s the result of the window.
-- A caller of several models prepares the parts that they share and passes them. Otherwise the function prepares them itself.
declare
    v_affected bigint [] := p_affected;
begin
if not p_is_prepared then
    v_affected := folds.affected_seqs(p_from, p_to, 'f');
end if;
if v_affected is not null then
    perform folds.refold_protocol_config(v_affected, p_from);
end if;

-- A row for each row of the log: nothing is combined.
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
        where retracted_at is null and (seq > p_from and seq <= p_to)
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
) as s;
end
$function$
