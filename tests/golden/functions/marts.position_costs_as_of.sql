CREATE OR REPLACE FUNCTION marts.position_costs_as_of(p_slot bigint, p_market_no integer DEFAULT NULL::integer)
 RETURNS TABLE(market_no integer, wallet_no integer, state numeric[], last_key bigint, last_seq bigint, cost_yes numeric, cost_no numeric, realized_by_sells numeric)
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
    market_no,
    wallet_no,
    state,
    last_key,
    last_seq,
    (state[2])::numeric(39,0) as cost_yes,
    (state[5])::numeric(39,0) as cost_no,
    ((state[3] + state[6]))::numeric(39,0) as realized_by_sells
from (
select
    events.market_no,
    events.wallet_no,
    folds.average_cost(null, events.is_buy, events.is_yes, events.shares, events.lamports order by events.order_key, events.seq) as state,
    max(events.order_key) as last_key,
    max(events.seq) as last_seq
from (


select
    market_no,
    wallet_no,
    order_key,
    seq,
    name = 'SharesBought' as is_buy,
    (payload ->> 'outcome')::boolean as is_yes,
    (payload ->> 'shares')::numeric as shares,
    coalesce(payload ->> 'cost', payload ->> 'proceeds')::numeric as lamports
from (
        select
            seq, order_key, transaction_no, ordinal, name, market_no, wallet_no, clock, payload, context
        from "raw"."events" as logged
        where retracted_at is null and (order_key < v_bound and (p_market_no is null or market_no = p_market_no))
        and name in ('SharesBought', 'SharesSold')
    ) as events
) as events
group by events.market_no, events.wallet_no
) as folded;
end
$function$
