CREATE OR REPLACE FUNCTION folds.apply_trades(p_from bigint, p_to bigint, p_is_prepared boolean DEFAULT false, p_affected bigint[] DEFAULT NULL::bigint[], p_staged folds.stg_trades_9e8d49c6[] DEFAULT NULL::folds.stg_trades_9e8d49c6[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
 SET enable_seqscan TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
AS $function$
-- Written by folds.create_functions from sql_models/folds/trades.sql; edit that file.
--
-- Merges the window (p_from, p_to] of the log into marts.trades. First, rows whose earlier events the window changes are folded
-- again. Then the model's select runs over the window, and its result is merged: t is the row before, s the result of the window.
-- A caller of several models prepares the parts that they share and passes them. Otherwise the function prepares them itself.
declare
    v_affected bigint [] := p_affected;
    v_staged folds.stg_trades_9e8d49c6 [] := p_staged;
begin
if not p_is_prepared then
    v_affected := folds.affected_seqs(p_from, p_to, 't');
    v_staged := folds.stg_trades_9e8d49c6(p_from, p_to);
end if;
if v_affected is not null then
    perform folds.refold_trades(v_affected, p_from);
end if;

-- A row for each row of the log: nothing is combined.
insert into marts.trades (seq, market_no, wallet_no, market_id, user_wallet, tx_signature, ordinal, order_key, slot, trade_type, outcome, shares, cost, gross, protocol_fee, resolver_fee, lp_fee, fees_exact, gross_from, protocol_bps, resolver_bps, lp_bps, price_yes, block_time, last_seq)
select seq, market_no, wallet_no, market_id, user_wallet, tx_signature, ordinal, order_key, slot, trade_type, outcome, shares, cost, gross, protocol_fee, resolver_fee, lp_fee, fees_exact, gross_from, protocol_bps, resolver_bps, lp_bps, price_yes, block_time, last_seq from (
with  __dbt__cte__stg_trades as (
select * from unnest(v_staged)
), trades as (
    select * from __dbt__cte__stg_trades
),

markets as (
    select * from "raw"."markets_seen"
),

wallets as (
    select * from "raw"."wallets_seen"
),

final as (
    select
        trades.seq,
        trades.market_no,
        trades.wallet_no,
        markets.market_id,
        wallets.wallet as user_wallet,
        trades.signature as tx_signature,
        trades.ordinal,
        trades.order_key,
        trades.order_key >> 24 as slot,
        case when trades.is_buy then 'buy' else 'sell' end as trade_type,
        case when trades.is_yes then 'YES' else 'NO' end as outcome,
        trades.shares::numeric(39, 0) as shares,
        trades.cost::numeric(39, 0) as cost,
        trades.gross::numeric(39, 0) as gross,
        trades.protocol_fee::numeric(39, 0) as protocol_fee,
        trades.resolver_fee::numeric(39, 0) as resolver_fee,
        trades.lp_fee::numeric(39, 0) as lp_fee,
        trades.fees_exact,
        trades.gross_from,
        trades.protocol_bps,
        trades.resolver_bps,
        trades.lp_bps,
        trades.price_yes,
        to_timestamp(case when trades.clock is not null then least(greatest(trades.clock, 0), 253402300799) end) as block_time,
        trades.seq as last_seq
    from trades
    inner join markets on trades.market_no = markets.market_no
    inner join wallets on trades.wallet_no = wallets.wallet_no
)

select * from final
) as s;
end
$function$
