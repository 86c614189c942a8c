create or replace function folds.create_stage(p_name text, p_sql text) returns void
language plpgsql set search_path = pg_catalog, pg_temp set client_min_messages = warning
as $$
declare
    v_columns text;
begin
    -- The name contains a digest of the text, so an existing step with this name is the same.
    if to_regtype(format('folds.%I', p_name)) is not null then
        return;
    end if;
    execute format('create temporary view staged as %s', p_sql);
    select string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' order by a.attnum) into v_columns
    from pg_attribute as a
    where a.attrelid = 'pg_temp.staged'::regclass and a.attnum > 0;
    drop view pg_temp.staged;
    execute format('create type folds.%I as (%s)', p_name, v_columns);
    execute format($f$
create function folds.%1$I(p_from bigint, p_to bigint) returns folds.%1$I []
language plpgsql stable set search_path = pg_catalog, pg_temp
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $body$
-- Written by folds.create_stage from sql_models/staging; edit the model there.
--
-- Returns the rows of a step with which several folded models begin, for the window (p_from, p_to] of the log; null if there are none.
begin
return (
    select array_agg(row(staged.*)::folds.%1$I)
    from (
%2$s
    ) as staged
);
end
$body$ $f$, p_name, folds.with_window(p_sql, '(seq > p_from and seq <= p_to)'));
end
$$;
comment on function folds.create_stage is 'Writes the type and the function of a step that models share.';
