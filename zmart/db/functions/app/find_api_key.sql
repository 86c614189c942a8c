-- The policy find_presented shows a row only to the call that presents its hash.
create or replace function app.find_api_key(
    p_secret_hash text, out key_id uuid, out wallet text, out scopes text [], out expires_at timestamptz
)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform set_config('zmart.api_key_hash', p_secret_hash, true);
    select k.key_id, w.wallet, k.scopes, k.expires_at into key_id, wallet, scopes, expires_at
    from app.api_keys as k
    inner join raw.wallets_seen as w on k.wallet_no = w.wallet_no
    where
        k.secret_hash = decode(p_secret_hash, 'hex')
        and k.revoked_at is null
        and coalesce(k.expires_at, 'infinity') > clock_timestamp();
end
$$;
comment on function app.find_api_key is
'Returns the valid API key with this SHA-256 (in hex), and its wallet; nulls if it is unknown, revoked or expired.';

grant execute on function app.find_api_key to zmart_api;
