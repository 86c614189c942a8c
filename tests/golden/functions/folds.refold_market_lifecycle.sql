CREATE OR REPLACE FUNCTION folds.refold_market_lifecycle(p_affected bigint[], p_upto bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_hashjoin TO 'on'
 SET enable_mergejoin TO 'on'
 SET enable_seqscan TO 'on'
 SET plan_cache_mode TO 'auto'
AS $function$
-- Written by folds.create_functions from sql_models/folds/market_lifecycle.sql; edit that file.
--
-- Folds the rows of marts.market_lifecycle that these events affect again from their whole history up to p_upto: after a retraction, a settled
-- order, or another change of events that were folded before. A row is found by (seq).
begin
delete from marts.market_lifecycle as t using (select distinct k.seq from raw.events as k where k.seq = any(p_affected)) as k where t.seq = k.seq;
insert into marts.market_lifecycle (seq, market_no, market_id, event, to_state, actor_wallet, order_key, tx_signature, block_time, last_seq)
select seq, market_no, market_id, event, to_state, actor_wallet, order_key, tx_signature, block_time, last_seq from (


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
        where retracted_at is null and ((seq) in (select k.seq from raw.events as k where k.seq = any(p_affected)) and seq <= p_upto)
        and name in ('MarketCreated', 'ProposalAggregated', 'ProposalApproved', 'MarketActivated', 'MarketResolved', 'DisputeInitiated', 'DisputeAggregated', 'MarketFinalized', 'MarketCancelled', 'LiquidityWithdrawn')
    ) as log
inner join "raw"."markets_seen" as markets on log.market_no = markets.market_no
left join "raw"."wallets_seen" as wallets on log.wallet_no = wallets.wallet_no
) as refolded;
end
$function$
