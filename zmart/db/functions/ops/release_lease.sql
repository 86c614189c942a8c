create or replace function ops.release_lease(p_name text, p_epoch bigint) returns void
language sql volatile set search_path = pg_catalog, pg_temp
begin atomic
    update ops.leases set expires_at = clock_timestamp() where name = p_name and epoch = p_epoch;
end;
comment on function ops.release_lease is 'Releases a lease, so that the next process can acquire it.';

grant execute on function ops.release_lease to zmart_keeper;
