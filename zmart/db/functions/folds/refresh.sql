create or replace function folds.refresh(p_name text) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp set client_min_messages = warning
as $$
declare
    r ops.scheduled_models;
    v_began timestamptz := clock_timestamp();
    v_seq bigint;
    v_changed bigint;
begin
    select * into r from ops.scheduled_models where name = p_name for update;
    if r is null then
        raise exception 'there is no scheduled mart %. List them: select name from ops.scheduled_models', p_name using errcode = 'ZM404';
    end if;
    v_seq := folds.recompute(r);
    execute folds.difference_sql(jsonb_populate_record(null::ops.models, jsonb_build_object(
        'name', r.name, 'key_columns', r.key_columns, 'columns', r.columns
    )));
    get diagnostics v_changed = row_count;
    update ops.scheduled_models
    set
        applied_seq = v_seq, refreshed_at = clock_timestamp(), changed_rows = v_changed,
        seconds = extract(epoch from clock_timestamp() - v_began)
    where name = p_name;
    drop table pg_temp.rebuilt;
    return v_changed;
end
$$;
comment on function folds.refresh is
'Computes a scheduled mart again, merges the differences into the live one in place, and returns the number of rows written. ZM404: unknown mart.';
