-- Marts as of a slot, written from the same select as the marts themselves; generated functions that introduce themselves; and a
-- wallet's activity by its place on chain.

-- A wallet's newest events, whatever the markets: without it a busy wallet's rows are sorted for each page.
create index on raw.events (wallet_no, order_key) where wallet_no is not null;

-- ---- as of a slot --------------------------------------------------------------------------------------------------------
-- What a mart would be if the log ended with that slot. The marker that stands for a window of the log takes a place on chain
-- instead. What was said here rather than on chain has no place, only an instant: it belongs to a slot if it came before the next
-- event that the log knows.

create function folds.as_of_sql(p_sql text) returns text
language sql immutable parallel safe
return replace(replace(
    p_sql,
    '(true /*fold*/) and (true /*unplaced*/)',
    '(cast_at < v_until and (p_market_no is null or market_no = p_market_no))'
), '(true /*fold*/)', '(order_key < v_bound and (p_market_no is null or market_no = p_market_no))');
comment on function folds.as_of_sql is 'A model''s select over what the log holds up to a place on chain.';

create function folds.write_as_of(p_mart text, p_select text) returns void
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

create function folds.create_as_of(p_model text, p_fold text) returns void
language sql set search_path = pg_catalog, pg_temp
begin atomic
    select folds.write_as_of(p_model, format(
        E'select\n    %s\nfrom (\n%s\n) as folded',
        (
            -- Generated columns follow from the others, as they do in the mart.
            select string_agg(format(
                case when a.attgenerated = '' then '%2$I' else '(%1$s)::%3$s as %2$I' end,
                pg_get_expr(d.adbin, d.adrelid), a.attname, format_type(a.atttypid, a.atttypmod)
            ), E',\n    ' order by a.attnum)
            from pg_attribute as a
            left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
            where a.attrelid = to_regclass(format('marts.%I', p_model)) and a.attnum > 0 and not a.attisdropped
        ),
        folds.as_of_sql(p_fold)
    ));
end;
comment on function folds.create_as_of is 'Write marts.<model>_as_of from the folded model''s own select.';

-- ---- generated functions that introduce themselves -----------------------------------------------------------------------

create or replace function folds.create_functions(
    p_model text, p_fold text, p_merge text, p_columns text [], p_scope text [], p_fees boolean
) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    v_columns text := (select string_agg(quote_ident(c), ', ') from unnest(p_columns) as c);
    v_scope text := (select string_agg(quote_ident(c), ', ') from unnest(p_scope) as c);
    v_keys text := (select string_agg('k.' || quote_ident(c), ', ') from unnest(p_scope) as c);
    v_touched text := format('(%s) in (select %s from raw.events as k where k.seq = any(p_touched))', v_scope, v_keys);
    v_of text := (select string_agg(format('t.%I = k.%I', c, c), ' and ') from unnest(p_scope) as c);
begin
    execute format($f$
create or replace function folds.%1$I(p_touched bigint [], p_upto bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp
set enable_hashjoin = on set enable_mergejoin = on set enable_seqscan = on set plan_cache_mode = auto
as $body$
-- Written by folds.create_functions from sql_models/folds/%2$s.sql; changes belong there.
--
-- Tells the rows of marts.%2$s that these events touched again from their whole history up to p_upto: after a retraction, a settled
-- order, or whatever else changes the meaning of what was folded before. A row is found by (%7$s).
begin
delete from marts.%2$I as t using (select distinct %3$s from raw.events as k where k.seq = any(p_touched)) as k where %4$s;
insert into marts.%2$I (%5$s)
select %5$s from (
%6$s
) as refolded;
end
$body$ $f$, 'refold_' || p_model, p_model, v_keys, v_of, v_columns,
        folds.windowed(p_fold, format('(%s and seq <= p_upto)', v_touched)), v_scope);
    -- One plan for all windows: planning these statements takes as long as running them on a hundred events. Left alone, a
    -- generic plan guesses a window to be half a percent of the log and hashes the whole mart for it; hence the switches.
    execute format($f$
create or replace function folds.%1$I(p_from bigint, p_to bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $body$
-- Written by folds.create_functions from sql_models/folds/%5$s.sql; changes belong there.
--
-- Takes the window (p_from, p_to] of the log into marts.%5$s. First, rows whose past the window changes are told again. Then the
-- model's select runs over the window, and what it says is merged into what was known: t is the row so far, s what the window says.
declare
    v_touched bigint [] := folds.touched(p_from, p_to, %2$L);
begin
if v_touched is not null then
    perform folds.%3$I(v_touched, p_from);
end if;

%4$s;
end
$body$ $f$, 'apply_' || p_model, p_fees, 'refold_' || p_model,
        replace(folds.windowed(p_merge, '(seq > p_from and seq <= p_to)'), '/*target*/', format('marts.%I', p_model)), p_model);
    perform folds.create_as_of(p_model, p_fold);
end
$$;
comment on function folds.create_functions is
'Write folds.apply_<model>, folds.refold_<model> and marts.<model>_as_of from the model''s texts.';

revoke execute on function folds.as_of_sql, folds.write_as_of, folds.create_as_of from public;

-- What is installed already gets them without waiting for its next change.
do $$
declare
    m ops.models;
begin
    for m in select * from ops.models where to_regclass(format('marts.%I', name)) is not null loop
        perform folds.create_functions(m.name, m.fold_sql, m.merge_sql, m.columns, m.scope_columns, m.fee_sensitive);
    end loop;
end
$$;
