create or replace function folds.write_as_of(p_mart text, p_select text) returns void
language plpgsql set search_path = pg_catalog, pg_temp set client_min_messages = warning
as $$
declare
    v_function text := format('marts.%I', p_mart || '_as_of');
    v_result text := (
        select string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' order by a.attnum)
        from pg_attribute as a
        where a.attrelid = to_regclass(format('marts.%I', p_mart)) and a.attnum > 0 and not a.attisdropped
    );
begin
    -- Its columns are those of the mart. `create or replace` cannot change them.
    execute format('drop function if exists %s(bigint, int)', v_function);
    execute format($f$
create function %1$s(p_slot bigint, p_market_no int default null) returns table (%2$s)
language plpgsql stable security definer
-- The plan is made for the given slot and market.
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan
as $body$
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
%3$s;
end
$body$ $f$, v_function, v_result, p_select);
    execute format('grant execute on function %s to analyst', v_function);
    execute format('comment on function %s is %L', v_function, format(
        'Returns marts.%s as if the log ended with this slot, for one market or all. It is generated from the same select as the mart and reads the history, so give a market if you need only one.',
        p_mart
    ));
end
$$;
comment on function folds.write_as_of is
'Writes marts.<mart>_as_of(slot, market) around a select that uses v_bound, v_until and p_market_no. It has the columns of the mart.';
