create or replace function folds.rebuild_from(p_name text, p_rows text, p_to bigint) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp set work_mem = '256MB' set client_min_messages = warning
as $$
declare
    m ops.models;
    v_to bigint := p_to;
    v_fold text;
    v_head bigint;
    v_changed bigint;
begin
    select * into strict m from ops.models where name = p_name;
    drop table if exists pg_temp.rebuilt;
    if p_rows is null then
        select coalesce(max(seq), 0) into v_to from raw.feed;
        v_fold := m.fold_sql;
    else
        v_fold := replace(m.fold_sql, m.staged_sql, format(E'\nselect * from %s\n', p_rows));
    end if;
    execute format('create temporary table rebuilt on commit drop as %s', folds.with_window(v_fold, format('(seq <= %s)', v_to)));
    execute 'analyze rebuilt';
    -- Entries appended meanwhile are merged before the log has to wait, and the rest while it waits.
    select coalesce(max(seq), 0) into v_head from raw.feed;
    if v_head > v_to then
        execute format('create index on rebuilt (%s)', array_to_string(m.key_columns, ', '));
        perform folds.catch_up('rebuilt', m, v_to, v_head);
        v_to := v_head;
    end if;
    -- Readers are never blocked. The log waits only from here on.
    perform raw.take_writer();
    select coalesce(max(seq), 0) into v_head from raw.feed;
    if v_head > v_to then
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
comment on function folds.rebuild_from is
'Folds a model again from the whole log and merges the differences into the live mart in place, so that grants and views remain. Returns the number of rows that differed. The step that it shares with others is read from a table of folds.stage_rows, which has it up to a seq; with null, computed.';
