CREATE OR REPLACE FUNCTION folds.apply_position_costs(p_from bigint, p_to bigint, p_is_prepared boolean DEFAULT false, p_affected bigint[] DEFAULT NULL::bigint[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
 SET enable_seqscan TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
AS $function$
-- Written by folds.create_functions from sql_models/folds/position_costs.sql; edit that file.
--
-- Merges the window (p_from, p_to] of the log into marts.position_costs. First, rows whose earlier events the window changes are folded
-- again. Then the model's select runs over the window, and its result is merged: t is the row before, s the result of the window.
-- A caller of several models prepares the parts that they share and passes them. Otherwise the function prepares them itself.
declare
    v_affected bigint [] := p_affected;
begin
if not p_is_prepared then
    v_affected := folds.affected_seqs(p_from, p_to, 'f');
end if;
if v_affected is not null then
    perform folds.refold_position_costs(v_affected, p_from);
end if;

perform folds.refold_position_costs(late.seqs, p_to)
from (
    select array_agg(events.seq) as seqs
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
        where retracted_at is null and (seq > p_from and seq <= p_to)
        and name in ('SharesBought', 'SharesSold')
    ) as events
    ) as events
    inner join marts.position_costs as before on before.market_no = events.market_no and before.wallet_no = events.wallet_no
    where events.order_key < before.last_key
) as late
where late.seqs is not null;

merge into marts.position_costs as t
using (
    select
        events.market_no,
        events.wallet_no,
        folds.average_cost(before.state, events.is_buy, events.is_yes, events.shares, events.lamports order by events.order_key, events.seq) as state,
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
        where retracted_at is null and (seq > p_from and seq <= p_to)
        and name in ('SharesBought', 'SharesSold')
    ) as events
    ) as events
    left join marts.position_costs as before on before.market_no = events.market_no and before.wallet_no = events.wallet_no
    where before.last_seq is null or events.seq > before.last_seq
    group by events.market_no, events.wallet_no
) as s on t.market_no = s.market_no and t.wallet_no = s.wallet_no
when matched then update set state = s.state, last_key = s.last_key, last_seq = s.last_seq
when not matched then insert (market_no, wallet_no, state, last_key, last_seq)
values (s.market_no, s.wallet_no, s.state, s.last_key, s.last_seq);
end
$function$
