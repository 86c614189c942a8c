create or replace function folds.create_functions(m ops.models) returns void
language plpgsql set search_path = pg_catalog, pg_temp set client_min_messages = warning
as $$
declare
    v_columns text := (select string_agg(quote_ident(c), ', ') from unnest(m.columns) as c);
    v_scope text := (select string_agg(quote_ident(c), ', ') from unnest(m.scope_columns) as c);
    v_keys text := (select string_agg('k.' || quote_ident(c), ', ') from unnest(m.scope_columns) as c);
    v_affected text := format('(%s) in (select %s from raw.events as k where k.seq = any(p_affected))', v_scope, v_keys);
    v_of text := (select string_agg(format('t.%I = k.%I', c, c), ' and ') from unnest(m.scope_columns) as c);
    v_merge text := m.merge_sql;
    v_other regprocedure;
begin
    execute format($f$
create or replace function folds.%1$I(p_affected bigint [], p_upto bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp
set enable_hashjoin = on set enable_mergejoin = on set enable_seqscan = on set plan_cache_mode = auto
as $body$
-- Written by folds.create_functions from sql_models/folds/%2$s.sql; edit that file.
--
-- Folds the rows of marts.%2$s that these events affect again from their whole history up to p_upto: after a retraction, a settled
-- order, or another change of events that were folded before. A row is found by (%7$s).
begin
delete from marts.%2$I as t using (select distinct %3$s from raw.events as k where k.seq = any(p_affected)) as k where %4$s;
insert into marts.%2$I (%5$s)
select %5$s from (
%6$s
) as refolded;
end
$body$ $f$, 'refold_' || m.name, m.name, v_keys, v_of, v_columns,
        folds.with_window(m.fold_sql, format('(%s and seq <= p_upto)', v_affected)), v_scope);

    if m.staged_as is not null then
        perform folds.create_stage(m.staged_as, m.staged_sql);
        v_merge := replace(v_merge, m.staged_sql, E'\nselect * from unnest(v_staged)\n');
    end if;
    for v_other in
        select p.oid from pg_proc as p where p.pronamespace = 'folds'::regnamespace and p.proname = 'apply_' || m.name
    loop
        execute format('drop function %s', v_other);
    end loop;
    -- All windows use one plan, because planning these statements takes as long as running them on a hundred events. A
    -- generic plan estimates a window as half a percent of the log and hashes the whole mart for it. The settings prevent that.
    execute format($f$
create function folds.%1$I(
    p_from bigint, p_to bigint, p_is_prepared boolean default false, p_affected bigint [] default null%6$s
) returns void
language plpgsql set search_path = pg_catalog, pg_temp
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $body$
-- Written by folds.create_functions from sql_models/folds/%5$s.sql; edit that file.
--
-- Merges the window (p_from, p_to] of the log into marts.%5$s. First, rows whose earlier events the window changes are folded
-- again. Then the model's select runs over the window, and its result is merged: t is the row before, s the result of the window.
-- A caller of several models prepares the parts that they share and passes them. Otherwise the function prepares them itself.
declare
    v_affected bigint [] := p_affected;%7$s
begin
if not p_is_prepared then
    v_affected := folds.affected_seqs(p_from, p_to, %2$L);%8$s
end if;
if v_affected is not null then
    perform folds.%3$I(v_affected, p_from);
end if;

%4$s;
end
$body$ $f$, 'apply_' || m.name, m.fee_sensitive, 'refold_' || m.name,
        replace(folds.with_window(v_merge, '(seq > p_from and seq <= p_to)'), '/*target*/', format('marts.%I', m.name)), m.name,
        case when m.staged_as is not null then format(', p_staged folds.%I [] default null', m.staged_as) else '' end,
        case when m.staged_as is not null then format(E'\n    v_staged folds.%I [] := p_staged;', m.staged_as) else '' end,
        case when m.staged_as is not null then format(E'\n    v_staged := folds.%I(p_from, p_to);', m.staged_as) else '' end);
    perform folds.create_as_of(m.name, m.fold_sql);
end
$$;
comment on function folds.create_functions is
'Writes folds.apply_<model>, folds.refold_<model>, marts.<model>_as_of and the shared step from the texts of the model.';
