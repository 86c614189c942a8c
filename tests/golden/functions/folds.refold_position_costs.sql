CREATE OR REPLACE FUNCTION folds.refold_position_costs(p_affected bigint[], p_upto bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_hashjoin TO 'on'
 SET enable_mergejoin TO 'on'
 SET enable_seqscan TO 'on'
 SET plan_cache_mode TO 'auto'
AS $function$
-- Written by folds.create_functions from sql_models/folds/position_costs.sql; edit that file.
--
-- Folds the rows of marts.position_costs that these events affect again from their whole history up to p_upto: after a retraction, a settled
-- order, or another change of events that were folded before. A row is found by (market_no, wallet_no).
begin
delete from marts.position_costs as t using (select distinct k.market_no, k.wallet_no from raw.events as k where k.seq = any(p_affected)) as k where t.market_no = k.market_no and t.wallet_no = k.wallet_no;
insert into marts.position_costs (market_no, wallet_no, state, last_key, last_seq)
select market_no, wallet_no, state, last_key, last_seq from (
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
        where retracted_at is null and ((market_no, wallet_no) in (select k.market_no, k.wallet_no from raw.events as k where k.seq = any(p_affected)) and seq <= p_upto)
        and name in ('SharesBought', 'SharesSold')
    ) as events
) as events
group by events.market_no, events.wallet_no
) as refolded;
end
$function$
