create or replace function folds.recompute(r ops.scheduled_models) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp set work_mem = '256MB' set client_min_messages = warning
as $$
declare
    v_seq bigint;
begin
    drop table if exists pg_temp.rebuilt;
    -- One statement uses one snapshot for the rows and the seq that they reflect. The left join returns the seq without rows.
    execute format($f$
        create temporary table rebuilt on commit drop as
        select h.reflected_seq, m.*
        from (
            select least(
                (select coalesce(max(seq), 0) from raw.feed),
                (select min(a.applied_seq) from ops.model_position as a where a.name = any(%L::text []))
            ) as reflected_seq
        ) as h
        left join (%s) as m on true$f$, r.reads, r.select_sql);
    select min(reflected_seq) into v_seq from pg_temp.rebuilt;
    execute format('delete from pg_temp.rebuilt where %I is null', r.key_columns[1]);
    return v_seq;
end
$$;
comment on function folds.recompute is 'Computes a scheduled mart into pg_temp.rebuilt and returns the seq that the rows reflect.';
