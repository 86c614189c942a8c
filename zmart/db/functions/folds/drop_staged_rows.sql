create or replace function folds.drop_staged_rows() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp set client_min_messages = warning
as $$
declare
    v_rows text;
begin
    for v_rows in
        select c.relname
        from pg_class as c
        where
            c.relnamespace = 'folds'::regnamespace and c.relname like 'staged\_rows\_%'
            and not exists (
                select from pg_stat_activity as a
                where
                    c.relname = format('staged_rows_%s_%s', a.pid, floor(extract(epoch from a.backend_start) * 1000)::bigint)
                    and a.pid <> pg_backend_pid()
            )
    loop
        execute format('drop table if exists folds.%I', v_rows);
    end loop;
end
$$;
comment on function folds.drop_staged_rows is
'Drops the rows that this session staged for a rebuild, and those of sessions that have ended.';
