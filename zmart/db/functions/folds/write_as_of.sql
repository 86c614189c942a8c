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
    -- Its columns are those of the mart, which `create or replace` would not let change.
    execute format('drop function if exists %s(bigint, int)', v_function);
    execute format($f$
create function %1$s(p_slot bigint, p_market_no int default null) returns table (%2$s)
language plpgsql stable security definer
-- Planned for the slot and market that are asked for.
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
        'marts.%s as it would be if the log ended with that slot, of one market or all. Made with the mart, from the same select; it reads the history, so ask for one market where one is enough.',
        p_mart
    ));
end
$$;
comment on function folds.write_as_of is
'Write marts.<mart>_as_of(slot, market) around a select that says v_bound, v_until and p_market_no; its columns are the mart''s.';
