-- Readiness names the session in the way of commits. pg_stat_activity shows everybody a session's pid, login and name.
create or replace function raw.writer_wait(
    out waited_seconds double precision, out holder_pid int, out holder_login text, out holder_name text
)
returns setof record
language sql stable set search_path = pg_catalog, pg_temp
as $$
    select w.waited_seconds, h.pid, s.usename::text, s.application_name
    from pg_database as d
    cross join lateral (
        select extract(epoch from clock_timestamp() - min(l.waitstart))::double precision as waited_seconds
        from pg_locks as l
        where l.database = d.oid and l.relation = 'raw.writer'::regclass and not l.granted
    ) as w
    left join pg_locks as h
        on
            h.database = d.oid and h.relation = 'raw.writer'::regclass and h.granted
            and h.mode in ('ExclusiveLock', 'AccessExclusiveLock')
    left join pg_stat_activity as s on h.pid = s.pid
    where d.datname = current_database() and w.waited_seconds is not null
    limit 1
$$;
comment on function raw.writer_wait is
'How long the first session has waited for the right to append, and who holds it; no row while nobody waits.';

grant execute on function raw.writer_wait to zmart_ingest, zmart_api;
