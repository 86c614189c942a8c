create or replace function folds.recompute(r ops.scheduled_models) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp set work_mem = '256MB' set client_min_messages = warning
as $$
declare
    v_answers_for bigint;
begin
    drop table if exists pg_temp.rebuilt;
    -- One statement, so one snapshot: the rows, and the seq they answer for. The row of the seq is there without any rows.
    execute format($f$
        create temporary table rebuilt on commit drop as
        select h.answers_for, m.*
        from (
            select least(
                (select coalesce(max(seq), 0) from raw.feed),
                (select min(a.applied_seq) from ops.model_position as a where a.name = any(%L::text []))
            ) as answers_for
        ) as h
        left join (%s) as m on true$f$, r.reads, r.select_sql);
    select min(answers_for) into v_answers_for from pg_temp.rebuilt;
    execute format('delete from pg_temp.rebuilt where %I is null', r.key_columns[1]);
    return v_answers_for;
end
$$;
comment on function folds.recompute is 'Compute a scheduled mart into pg_temp.rebuilt; returns the seq that the rows answer for.';
