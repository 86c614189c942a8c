create or replace function folds.rebuild(p_name text) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp set work_mem = '256MB' set client_min_messages = warning
as $$
declare
    m ops.models;
    v_to bigint;
    v_head bigint;
    v_changed bigint;
begin
    select * into strict m from ops.models where name = p_name;
    drop table if exists pg_temp.rebuilt;
    select coalesce(max(seq), 0) into v_to from raw.feed;
    execute format('create temporary table rebuilt on commit drop as %s', folds.with_window(m.fold_sql, format('(seq <= %s)', v_to)));
    execute 'analyze rebuilt';
    -- Readers are never blocked. The log waits only from here on.
    perform raw.take_writer();
    select coalesce(max(seq), 0) into v_head from raw.feed;
    if v_head > v_to then
        execute format('create index on rebuilt (%s)', array_to_string(m.key_columns, ', '));
        perform folds.catch_up('rebuilt', m, v_to, v_head);
    end if;
    execute folds.difference_sql(m);
    get diagnostics v_changed = row_count;
    update ops.models
    set
        built_to = v_head, built_at = clock_timestamp(), stale_since = null, applied_seq = null, failed_event = null, reason = null,
        behind_since = null, attempts = null, data_failures = null, next_attempt_at = null
    where name = p_name;
    update ops.alerts set resolved_at = clock_timestamp()
    where kind in ('mart_stale', 'mart_behind') and subject = p_name and resolved_at is null;
    drop table pg_temp.rebuilt;
    return v_changed;
end
$$;
comment on function folds.rebuild is
'Folds a model again from the whole log and merges the differences into the live mart in place, so that grants and views remain. Returns the number of rows that differed.';
