create or replace function folds.install_scheduled(r ops.scheduled_models, p_create text, p_after text []) returns text
language plpgsql set search_path = pg_catalog, pg_temp set client_min_messages = warning
as $$
declare
    v_live regclass := to_regclass(format('marts.%I', r.name));
    v_beside text := format('marts.%I', r.name || '__beside');
    v_columns text := (select string_agg(quote_ident(c), ', ') from unnest(r.columns) as c);
    v_known ops.scheduled_models;
begin
    lock table ops.scheduled_models in share row exclusive mode;
    select * into v_known from ops.scheduled_models where name = r.name;
    execute format('drop table if exists %s', v_beside);
    execute format('create table %s (%s)', v_beside, p_create);
    r.refreshed_at := clock_timestamp();
    r.seconds := 0;
    r.changed_rows := 0;
    if v_live is not null and v_known.name is not null and folds.table_columns(v_live) = folds.table_columns(v_beside::regclass) then
        r.indexes := folds.finish_beside(v_beside, p_after);
        execute format('drop table %s', v_beside);
        r.applied_seq := v_known.applied_seq;
        delete from ops.scheduled_models where name = r.name;
        insert into ops.scheduled_models select r.*;
        return format('SCHEDULED in place, %s rows changed', folds.refresh(r.name));
    end if;
    r.applied_seq := folds.recompute(r);
    execute format('insert into %s (%s) select %s from pg_temp.rebuilt', v_beside, v_columns, v_columns);
    get diagnostics r.changed_rows = row_count;
    drop table pg_temp.rebuilt;
    r.indexes := folds.finish_beside(v_beside, p_after);
    if r.changed_rows > 0 then
        execute format('analyze %s', v_beside);
    end if;
    perform folds.swap(r.name);
    delete from ops.scheduled_models where name = r.name;
    insert into ops.scheduled_models select r.*;
    return 'SCHEDULED built';
end
$$;
comment on function folds.install_scheduled is
'Installs a scheduled mart. With the same columns, it is computed again and merged in place. Otherwise a table is built beside the live one and swapped in.';
