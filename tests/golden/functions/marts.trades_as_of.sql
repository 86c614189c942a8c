CREATE OR REPLACE FUNCTION marts.trades_as_of(p_slot bigint, p_market_no integer DEFAULT NULL::integer)
 RETURNS TABLE(seq bigint, market_no integer, wallet_no integer, market_id text, user_wallet text, tx_signature text, ordinal integer, order_key bigint, slot bigint, trade_type text, outcome text, shares numeric, cost numeric, gross numeric, protocol_fee numeric, resolver_fee numeric, lp_fee numeric, fees_exact boolean, gross_from text, protocol_bps integer, resolver_bps integer, lp_bps integer, price_yes bigint, block_time timestamp with time zone, last_seq bigint)
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
    trades.seq,
    trades.market_no,
    trades.wallet_no,
    markets.market_id,
    wallets.wallet as user_wallet,
    transactions.signature as tx_signature,
    (trades.order_key & 511)::int as ordinal,
    trades.order_key,
    trades.order_key >> 24 as slot,
    case when trades.is_buy then 'buy' else 'sell' end as trade_type,
    case when trades.is_yes then 'YES' else 'NO' end as outcome,
    trades.shares,
    trades.cost,
    trades.gross,
    trades.protocol_fee,
    trades.resolver_fee,
    (abs(trades.cost - trades.gross) - trades.protocol_fee - trades.resolver_fee)::numeric(39, 0) as lp_fee,
    trades.gross_from not in ('estimated', 'provisional') as fees_exact,
    trades.gross_from,
    trades.protocol_bps,
    trades.resolver_bps,
    trades.lp_bps,
    trades.price_yes,
    trades.block_time,
    trades.seq as last_seq
from marts.priced_trades_as_of(p_slot, p_market_no) as trades
left join raw.markets_seen as markets on trades.market_no = markets.market_no
left join raw.wallets_seen as wallets on trades.wallet_no = wallets.wallet_no
left join raw.transactions as transactions on trades.transaction_no = transactions.transaction_no;
end
$function$
