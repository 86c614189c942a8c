CREATE OR REPLACE FUNCTION marts.market_lifecycle_as_of(p_slot bigint, p_market_no integer DEFAULT NULL::integer)
 RETURNS TABLE(seq bigint, market_no integer, market_id text, event text, to_state text, actor_wallet text, order_key bigint, tx_signature text, block_time timestamp with time zone, last_seq bigint)
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
    market_no,
    market_id,
    event,
    to_state,
    actor_wallet,
    order_key,
    tx_signature,
    block_time,
    last_seq
from (


select
    log.seq,
    log.market_no,
    markets.market_id,
    log.name as event,
    (array['PROPOSED', 'APPROVED', 'ACTIVE', 'RESOLVING', 'DISPUTED', 'FINALIZED', 'CANCELLED'])[case log.name
        when 'MarketCreated' then 0
        when 'ProposalApproved' then 1
        when 'MarketActivated' then 2
        when 'MarketResolved' then 3
        when 'DisputeInitiated' then 4
        when 'DisputeAggregated' then case when (log.payload ->> 'dispute_succeeded')::boolean then 3 else 5 end
        when 'MarketFinalized' then 5
        when 'MarketCancelled' then 6
    end + 1] as to_state,
    wallets.wallet as actor_wallet,
    log.order_key,
    log.signature as tx_signature,
    to_timestamp(case when log.clock is not null then least(greatest(log.clock, 0), 253402300799) end) as block_time,
    log.seq as last_seq
from (
        select
            seq, order_key, transaction_no, ordinal, name, market_no, wallet_no, clock, payload, context,
            (
                select transactions.signature from "raw"."transactions" as transactions
                where transactions.transaction_no = logged.transaction_no
            ) as signature
        from "raw"."events" as logged
        where retracted_at is null and (order_key < v_bound and (p_market_no is null or market_no = p_market_no))
        and name in ('MarketCreated', 'ProposalAggregated', 'ProposalApproved', 'MarketActivated', 'MarketResolved', 'DisputeInitiated', 'DisputeAggregated', 'MarketFinalized', 'MarketCancelled', 'LiquidityWithdrawn')
    ) as log
inner join "raw"."markets_seen" as markets on log.market_no = markets.market_no
left join "raw"."wallets_seen" as wallets on log.wallet_no = wallets.wallet_no
) as folded;
end
$function$
