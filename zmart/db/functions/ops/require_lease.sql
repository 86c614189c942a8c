create or replace function ops.require_lease(p_name text, p_epoch bigint) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
begin
    perform from ops.leases
    where name = p_name and epoch = p_epoch and expires_at > clock_timestamp()
    for update;
    if not found then
        raise exception 'the lease % of epoch % is no longer held', p_name, p_epoch using errcode = 'ZM409';
    end if;
end
$$;
comment on function ops.require_lease is
'Raises ZM409 unless the epoch holds the lease. It locks the row, so that all actions under the lease run one after another.';

grant execute on function ops.require_lease to zmart_keeper;
