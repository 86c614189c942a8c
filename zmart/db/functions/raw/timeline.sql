create or replace function raw.timeline() returns int
language sql volatile parallel safe
return ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int;
comment on function raw.timeline is 'The timeline that this server writes to. Fails on a standby.';

grant execute on function raw.timeline to zmart_keeper;
