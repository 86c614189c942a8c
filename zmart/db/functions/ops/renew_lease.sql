create or replace function ops.renew_lease(p_name text, p_epoch bigint, p_seconds double precision) returns boolean
language sql volatile set search_path = pg_catalog, pg_temp
begin atomic
    with renewed as (
        update ops.leases set expires_at = clock_timestamp() + make_interval(secs => p_seconds)
        where name = p_name and epoch = p_epoch and expires_at > clock_timestamp()
        returning true
    )
    select exists(select from renewed);
end;
comment on function ops.renew_lease is 'Extends a lease. Returns false if it has expired or another process holds it.';

grant execute on function ops.renew_lease to zmart_keeper;
