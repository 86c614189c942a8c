create or replace function folds.stage_rows(p_staged_as text, out o_rows text, out o_to bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp set work_mem = '256MB'
as $$
declare
    v_staged_sql text;
begin
    perform folds.drop_staged_rows();
    select m.staged_sql into strict v_staged_sql from ops.models as m where m.staged_as = p_staged_as limit 1;
    -- The session's name: no other has it, and once the session has ended anyone may drop the table.
    select format('folds.staged_rows_%s_%s', a.pid, floor(extract(epoch from a.backend_start) * 1000)::bigint) into strict o_rows
    from pg_stat_activity as a
    where a.pid = pg_backend_pid();
    select coalesce(max(f.seq), 0) into o_to from raw.feed as f;
    -- Other sessions read it, so it is no temporary table. After a crash it is empty, and its session has ended.
    execute format(
        'create unlogged table %s as %s', o_rows, folds.with_window(v_staged_sql, format('(seq <= %s)', o_to))
    );
    execute format('analyze %s', o_rows);
end
$$;
comment on function folds.stage_rows is
'Computes the rows of a step with which several models begin, over the whole log, into a table for folds.rebuild_from. Returns its name and the seq up to which it has rows. The table is valid while the session lasts, and belongs to it alone: call folds.drop_staged_rows at the end.';
