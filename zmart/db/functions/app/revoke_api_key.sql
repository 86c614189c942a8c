create or replace function app.revoke_api_key(p_key_id uuid) returns timestamptz
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_revoked_at timestamptz;
begin
    perform app.require_wallet();
    update app.api_keys set revoked_at = coalesce(revoked_at, clock_timestamp())
    where key_id = p_key_id and wallet_no = app.current_wallet_no()
    returning revoked_at into v_revoked_at;
    if v_revoked_at is null then
        raise exception 'this wallet has no such API key' using errcode = 'ZM404';
    end if;
    return v_revoked_at;
end
$$;
comment on function app.revoke_api_key is
'Revokes an API key of the signed-in wallet and returns when it was revoked. ZM404: the wallet has no such key.';

grant execute on function app.revoke_api_key to zmart_api;
