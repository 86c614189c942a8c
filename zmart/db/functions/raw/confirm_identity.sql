create or replace function raw.confirm_identity(
    p_epoch text default null, p_seq bigint default null, p_mark text default null, p_is_acknowledged boolean default false
) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_row raw.identity;
    v_is_same_copy boolean;
    v_holds boolean;
    v_lacks boolean;
begin
    select * into v_row from raw.identity;
    if pg_is_in_recovery() then
        return v_row.epoch;
    end if;
    v_is_same_copy := v_row.epoch is not null and v_row.feed_oid is not distinct from 'raw.feed'::regclass::oid
        and v_row.database_oid = (select d.oid from pg_database as d where d.datname = current_database())
        and v_row.system_identifier = (select s.system_identifier from pg_control_system() as s);
    v_holds := coalesce(p_mark = raw.mark_of(p_seq), false);
    v_lacks := p_mark is not null and coalesce(p_epoch = v_row.epoch::text, false) and not v_holds
        and (raw.mark_of(p_seq) is not null or p_seq > (select coalesce(max(f.seq), 0) from raw.feed as f));
    if v_is_same_copy and v_row.timeline = raw.timeline() then
        if v_lacks and p_is_acknowledged then
            -- A process that knew less has confirmed the history first. The end that this one was promised is lost.
            perform raw.take_writer();
            update raw.identity set feed_oid = null where epoch = v_row.epoch;
            return raw.renew_identity();
        end if;
        return v_row.epoch;
    end if;
    -- Only the timeline is another one: a promotion, which loses nothing where the standby had everything. The rows about it
    -- wait for no synchronous standby, which a promoted server gets only after a while: others would wait for the row meanwhile. If
    -- it is lost, the next server is asked again. A new epoch does wait.
    if v_is_same_copy and (v_holds or (v_row.suspected_at is null and not (v_lacks and p_is_acknowledged))) then
        perform set_config('synchronous_commit', 'local', true);
    end if;
    if v_is_same_copy and not v_holds and not (v_lacks and p_is_acknowledged) then
        -- This process does not know; one that holds a position does. Nor does a reader who lacks something: a server that dies may
        -- have shown what it had not acknowledged.
        update raw.identity set suspected_at = clock_timestamp() where suspected_at is null;
        if raw.is_history_awaited() then
            return null;
        end if;
    end if;
    return raw.renew_identity(p_seq, p_mark);
end
$$;
comment on function raw.confirm_identity is
'Returns the epoch of this log. Every process calls it when it connects, with the last position that it holds: as raw.renew_identity, but null after a promotion while a process without a position waits for one that has. Acknowledged: the position of an append of this process, so that a log without it has lost its end and begins an epoch.';

grant execute on function raw.confirm_identity to zmart_ingest, zmart_keeper, zmart_api;
