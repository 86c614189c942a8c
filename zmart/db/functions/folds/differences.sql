create or replace function folds.differences(p_name text) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp set work_mem = '256MB' set client_min_messages = warning
as $$
declare
    m ops.models;
    v_differing bigint;
begin
    select * into strict m from ops.models where name = p_name;
    drop table if exists pg_temp.rebuilt;
    execute format('create temporary table rebuilt on commit drop as %s', folds.with_window(m.fold_sql, '(true)'));
    execute format(
        'select count(*) from pg_temp.rebuilt as n full join marts.%I as o on %s where n.%I is null or o.%I is null or %s',
        m.name, folds.join_sql(m.key_columns), m.key_columns[1], m.key_columns[1], folds.distinct_sql(m.columns)
    ) into v_differing;
    drop table pg_temp.rebuilt;
    return v_differing;
end
$$;
comment on function folds.differences is
'Returns the number of rows in which a mart and its rebuild differ: missing, additional, or different in any column. Call it in a REPEATABLE READ transaction, so that both use one snapshot.';
