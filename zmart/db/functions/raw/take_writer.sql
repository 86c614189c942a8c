create or replace function raw.take_writer() returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    set local lock_timeout = '5s';
    lock table raw.writer in exclusive mode;
end
$$;
comment on function raw.take_writer is 'Takes the right to append. Waits at most five seconds.';

grant execute on function raw.take_writer to zmart_ingest;
