CREATE OR REPLACE FUNCTION folds.apply_priced_trades(p_from bigint, p_to bigint, p_is_prepared boolean DEFAULT false, p_affected bigint[] DEFAULT NULL::bigint[], p_staged folds.stg_trades_b5dd4e38[] DEFAULT NULL::folds.stg_trades_b5dd4e38[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
 SET enable_seqscan TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
AS $function$
-- Written by folds.create_functions from sql_models/folds/priced_trades.sql; edit that file.
--
-- Merges the window (p_from, p_to] of the log into marts.priced_trades. First, rows whose earlier events the window changes are folded
-- again. Then the model's select runs over the window, and its result is merged: t is the row before, s the result of the window.
-- A caller of several models prepares the parts that they share and passes them. Otherwise the function prepares them itself.
declare
    v_affected bigint [] := p_affected;
    v_staged folds.stg_trades_b5dd4e38 [] := p_staged;
begin
if not p_is_prepared then
    v_affected := folds.affected_seqs(p_from, p_to, 't');
    v_staged := folds.stg_trades_b5dd4e38(p_from, p_to);
end if;
if v_affected is not null then
    perform folds.refold_priced_trades(v_affected, p_from);
end if;

-- A row for each row of the log: nothing is combined.
insert into marts.priced_trades (seq, order_key, transaction_no, block_time, price_yes, market_no, wallet_no, protocol_bps, resolver_bps, lp_bps, is_buy, is_yes, gross_from, shares, cost, gross, protocol_fee, resolver_fee)
select seq, order_key, transaction_no, block_time, price_yes, market_no, wallet_no, protocol_bps, resolver_bps, lp_bps, is_buy, is_yes, gross_from, shares, cost, gross, protocol_fee, resolver_fee from (
-- What the log says of each trade and what follows from it, by numbers: marts.trades adds texts. The widest mart of all, so each
-- column that another column or table implies is left to the view, and the columns are ordered by their alignment.


with  __dbt__cte__stg_trades as (
select * from unnest(v_staged)
), trades as (
    select * from __dbt__cte__stg_trades
),

final as (
    select
        seq,
        order_key,
        transaction_no,
        to_timestamp(case when clock is not null then least(greatest(clock, 0), 253402300799) end) as block_time,
        price_yes,
        market_no,
        wallet_no,
        protocol_bps,
        resolver_bps,
        lp_bps,
        is_buy,
        is_yes,
        gross_from,
        shares::numeric(39, 0) as shares,
        cost::numeric(39, 0) as cost,
        gross::numeric(39, 0) as gross,
        protocol_fee::numeric(39, 0) as protocol_fee,
        resolver_fee::numeric(39, 0) as resolver_fee
    from trades
    where market_no is not null and wallet_no is not null
)

select * from final
) as s;
end
$function$
