create or replace function raw.renew_identity(p_seq bigint default null, p_mark text default null) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_epoch uuid;
    v_row raw.identity;
    v_is_locked boolean := false;
begin
    loop
        select * into v_row from raw.identity;
        -- The timeline of what is written now: that of the last checkpoint is the old one for minutes after a promotion.
        if
            v_row.epoch is not null and v_row.feed_oid is not distinct from 'raw.feed'::regclass::oid
            and v_row.database_oid = (select d.oid from pg_database as d where d.datname = current_database())
            and (pg_is_in_recovery() or v_row.timeline = raw.timeline())
            and v_row.system_identifier = (select s.system_identifier from pg_control_system() as s)
        then
            return v_row.epoch;
        end if;
        exit when v_is_locked;
        -- Nothing is appended, and nobody else begins an epoch, until this transaction ends.
        perform raw.take_writer();
        v_is_locked := true;
    end loop;
    insert into raw.identity (system_identifier, timeline, database_oid, feed_oid)
    select s.system_identifier, raw.timeline(), d.oid, 'raw.feed'::regclass::oid
    from pg_control_system() as s, pg_database as d
    where d.datname = current_database()
    on conflict (only_row) do update
    set
        system_identifier = excluded.system_identifier, timeline = excluded.timeline,
        database_oid = excluded.database_oid, feed_oid = excluded.feed_oid, suspected_at = null,
        -- A reader that holds the chain's value up to its position has proven that this is the same history.
        epoch = case when p_mark = raw.mark_of(p_seq) then identity.epoch else gen_random_uuid() end,
        began_at = case when p_mark = raw.mark_of(p_seq) then identity.began_at else clock_timestamp() end
    returning epoch into v_epoch;
    return v_epoch;
end
$$;
comment on function raw.renew_identity is
'Returns the epoch of this log. On another server, timeline, database or feed table it is a new one, unless the mark of a reader''s position is that of this log.';

grant execute on function raw.renew_identity to zmart_ingest, zmart_keeper, zmart_api;
