CREATE OR REPLACE FUNCTION folds.apply_market_lifecycle(p_from bigint, p_to bigint, p_is_prepared boolean DEFAULT false, p_affected bigint[] DEFAULT NULL::bigint[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
 SET enable_seqscan TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
AS $function$
-- Written by folds.create_functions from sql_models/folds/market_lifecycle.sql; edit that file.
--
-- Merges the window (p_from, p_to] of the log into marts.market_lifecycle. First, rows whose earlier events the window changes are folded
-- again. Then the model's select runs over the window, and its result is merged: t is the row before, s the result of the window.
-- A caller of several models prepares the parts that they share and passes them. Otherwise the function prepares them itself.
declare
    v_affected bigint [] := p_affected;
begin
if not p_is_prepared then
    v_affected := folds.affected_seqs(p_from, p_to, 'f');
end if;
if v_affected is not null then
    perform folds.refold_market_lifecycle(v_affected, p_from);
end if;

-- A row for each row of the log: nothing is combined.
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
        where retracted_at is null and (seq > p_from and seq <= p_to)
        and name in ('MarketCreated', 'ProposalAggregated', 'ProposalApproved', 'MarketActivated', 'MarketResolved', 'DisputeInitiated', 'DisputeAggregated', 'MarketFinalized', 'MarketCancelled', 'LiquidityWithdrawn')
    ) as log
inner join "raw"."markets_seen" as markets on log.market_no = markets.market_no
left join "raw"."wallets_seen" as wallets on log.wallet_no = wallets.wallet_no
) as s;
end
$function$
