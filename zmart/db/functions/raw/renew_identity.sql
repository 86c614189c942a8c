create or replace function raw.renew_identity() returns uuid
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    v_epoch uuid;
begin
    insert into raw.identity (system_identifier, timeline, database_oid, feed_oid)
    select s.system_identifier, c.timeline_id, d.oid, 'raw.feed'::regclass::oid
    from pg_control_system() as s, pg_control_checkpoint() as c, pg_database as d
    where d.datname = current_database()
    on conflict (only_row) do update
    set epoch = gen_random_uuid(), system_identifier = excluded.system_identifier,
        timeline = excluded.timeline, database_oid = excluded.database_oid, feed_oid = excluded.feed_oid,
        began_at = clock_timestamp()
    where
        (identity.system_identifier, identity.timeline, identity.database_oid, identity.feed_oid)
        is distinct from (excluded.system_identifier, excluded.timeline, excluded.database_oid, excluded.feed_oid);
    select epoch into v_epoch from raw.identity;
    return v_epoch;
end
$$;
comment on function raw.renew_identity is
'Returns the epoch of this log, a new one in another database, on another server, or after a restore. Each deployment calls it.';
