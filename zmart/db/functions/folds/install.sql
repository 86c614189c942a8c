create or replace function folds.install(
    m ops.models, p_create text, p_after text []
) returns text
language plpgsql set search_path = pg_catalog, pg_temp set work_mem = '256MB' set client_min_messages = warning
as $$
declare
    v_live regclass := to_regclass(format('marts.%I', m.name));
    v_beside text := format('marts.%I', m.name || '__beside');
    v_columns text := (select string_agg(quote_ident(c), ', ') from unnest(m.columns) as c);
    v_to bigint;
    v_head bigint;
    v_in_place boolean;
    v_built bigint;
begin
    if v_live is not null and exists (
        select from ops.models as known
        where known.name = m.name and known.definition_hash = m.definition_hash and known.stale_since is null
    ) and to_regproc(format('folds.%I', 'apply_' || m.name)) is not null then
        return 'FOLD unchanged';
    end if;
    execute format('drop table if exists %s', v_beside);
    execute format('create table %s (%s)', v_beside, p_create);
    v_in_place := v_live is not null and folds.table_columns(v_live) = folds.table_columns(v_beside::regclass);
    select coalesce(max(seq), 0) into v_to from raw.feed;
    if v_in_place then
        m.indexes := folds.finish_beside(v_beside, p_after);
        execute format('drop table %s', v_beside);
    else
        execute format('insert into %s (%s) select %s from (%s) as built', v_beside, v_columns, v_columns,
            folds.with_window(m.fold_sql, format('(seq <= %s)', v_to)));
        get diagnostics v_built = row_count;
        m.indexes := folds.finish_beside(v_beside, p_after);
        if v_built > 0 then
            -- An empty table is not analyzed: the planner then assumes ten pages. For a table known to be empty it would
            -- plan a sequential scan.
            execute format('analyze %s', v_beside);
        end if;
        perform raw.take_writer();
        select coalesce(max(seq), 0) into v_head from raw.feed;
        if v_head > v_to then
            perform folds.catch_up(v_beside, m, v_to, v_head);
        end if;
        perform folds.swap(m.name);
    end if;
    m.built_to := v_to;
    m.built_at := clock_timestamp();
    m.stale_since := null;
    m.applied_seq := null;
    delete from ops.models where name = m.name;
    insert into ops.models select m.*;
    perform folds.create_functions(m);
    perform folds.create_dispatcher();
    perform folds.drop_stages();
    if v_in_place then
        return format('FOLD in place, %s rows changed', folds.rebuild(m.name));
    end if;
    return 'FOLD built';
end
$$;
comment on function folds.install is
'Installs a model. An unchanged model is skipped. With the same columns, its mart is rebuilt in place and only differences are written. Otherwise a table is built beside the live one and swapped in. Readers see the old rows or the new.';
