create or replace function app.redeem_nonce(p_nonce text, p_expires_at timestamptz) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    -- This is a statement of its own, because the policy looks the number up in the snapshot of the insert.
    v_wallet_no int := app.ensure_wallet_no();
begin
    insert into app.redeemed_nonces (nonce, wallet_no, expires_at) values (p_nonce, v_wallet_no, p_expires_at);
    perform app.delete_expired();
exception when unique_violation then
    raise exception 'this nonce was already used. Sign a new one' using errcode = 'ZM409';
end
$$;
comment on function app.redeem_nonce is 'Redeems a nonce for the signed-in wallet. ZM409: it was already used.';

grant execute on function app.redeem_nonce to zmart_api;
