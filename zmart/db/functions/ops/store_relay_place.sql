create or replace function ops.store_relay_place(p_stream text, p_created text, p_sequence bigint, p_position text) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
    insert into ops.cursors (name, value)
    values ('relay ' || p_stream, jsonb_build_object('created', p_created, 'sequence', p_sequence, 'position', p_position))
    on conflict (name) do update set value = excluded.value, moved_at = clock_timestamp();
end;
comment on function ops.store_relay_place is
'Stores how far the relay has published the log on a stream of the bus. The stream''s own last message counts; this row is read only where that message is gone.';

grant execute on function ops.store_relay_place to zmart_api;
