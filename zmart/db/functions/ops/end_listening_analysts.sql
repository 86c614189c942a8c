-- A session that listens and is in a transaction, or whose client does not read, keeps all notifications in the queue of the
-- server, and a full queue refuses every commit that notifies. Others cannot see which session listens, so this ends those that
-- may: idle ones, those that wait for their client, and those in a transaction of more than ten seconds.
-- An analyst is the login analyst and every other member of that role. Services and operators are not: members of a service's
-- role, of the owner's role, and superusers, who are members of every role. A session that the owner may not end is left out,
-- because one refusal would end the statement before the other sessions.
create or replace function ops.end_listening_analysts(p_limit int) returns int
language sql volatile security definer set search_path = pg_catalog, pg_temp
as $$
    select count(*) filter (where pg_terminate_backend(s.pid))::int
    from (
        select a.pid
        from pg_stat_activity as a
        where
            pg_has_role(a.usesysid, 'analyst', 'member') and a.pid <> pg_backend_pid()
            and not exists (
                select from unnest(array['zmart_owner', 'zmart_ingest', 'zmart_api', 'zmart_keeper']) as r (name)
                where pg_has_role(a.usesysid, r.name, 'member')
            )
            and (pg_has_role(a.usesysid, 'usage') or pg_has_role('pg_signal_backend', 'usage'))
            and (
                a.state <> 'active' or a.wait_event = 'ClientWrite'
                or a.xact_start < clock_timestamp() - interval '10 seconds'
            )
        order by coalesce(a.xact_start, a.state_change)
        limit p_limit
    ) as s
$$;
comment on function ops.end_listening_analysts is
'Ends at most p_limit sessions of analysts that may hold the queue of notifications, the oldest first, and returns their number.';

grant execute on function ops.end_listening_analysts to zmart_ingest;
