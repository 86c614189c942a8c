create or replace function ops.require_lease(p_name text, p_epoch bigint) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
begin
    perform from ops.leases
    where name = p_name and epoch = p_epoch and expires_at > clock_timestamp()
    for update;
    if not found then
        raise exception 'the lease % of epoch % is not held any more', p_name, p_epoch using errcode = 'ZM409';
    end if;
end
$$;
comment on function ops.require_lease is
'ZM409 unless the epoch holds the lease; locks its row, so that everything under it happens one after another.';

grant execute on function ops.require_lease to zmart_keeper;
