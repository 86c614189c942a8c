create or replace function app.open_session(
    p_nonce text, p_nonce_expires_at timestamptz, p_refresh_hash bytea, p_expires_at timestamptz
) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_wallet_no int;
    v_family uuid;
begin
    perform app.redeem_nonce(p_nonce, p_nonce_expires_at);
    v_wallet_no := app.ensure_wallet_no();
    insert into app.sessions (wallet_no, refresh_hash, expires_at)
    values (v_wallet_no, p_refresh_hash, p_expires_at)
    returning family_id into v_family;
    return v_family;
end
$$;
comment on function app.open_session is
'Signs the current wallet in: redeems the nonce, begins a family of sessions and returns its id. ZM409: the nonce was already used.';

grant execute on function app.open_session to zmart_api;
