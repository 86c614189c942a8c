create or replace function app.mark_idempotent_write(p_key text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    update app.idempotency_keys set is_written = true
    where wallet_no = app.current_wallet_no() and idempotency_key = p_key and status is null and not is_written;
    if not found then
        raise exception 'a request with this Idempotency-Key has written already' using errcode = 'ZM409';
    end if;
end
$$;
comment on function app.mark_idempotent_write is
'Records, in the transaction of a write, that the request with this key wrote. ZM409: another one with the key did.';

grant execute on function app.mark_idempotent_write to zmart_api;
