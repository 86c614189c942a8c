create or replace function ops.acquire_lease(p_name text, p_holder text, p_seconds double precision) returns bigint
language sql volatile set search_path = pg_catalog, pg_temp
begin atomic
    insert into ops.leases as l (name, holder, expires_at)
    values (p_name, p_holder, clock_timestamp() + make_interval(secs => p_seconds))
    on conflict (name) do update
    set holder = excluded.holder, epoch = l.epoch + 1, expires_at = excluded.expires_at
    where l.expires_at <= clock_timestamp()
    returning epoch;
end;
comment on function ops.acquire_lease is 'Acquires a lease and returns its epoch, or null while another process holds it.';

grant execute on function ops.acquire_lease to zmart_keeper;
