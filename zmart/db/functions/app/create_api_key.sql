create or replace function app.create_api_key(
    p_name text, p_secret_hash bytea, p_scopes text [], p_expires_at timestamptz, p_most int,
    out key_id uuid, out created_at timestamptz
)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_wallet_no int := app.ensure_wallet_no();
begin
    -- Requests of one wallet take turns, so that together they cannot pass the limit.
    perform pg_advisory_xact_lock(hashtextextended('zmart api keys', v_wallet_no));
    if (select count(*) from app.api_keys as k
        where k.wallet_no = v_wallet_no and k.revoked_at is null
            and coalesce(k.expires_at, 'infinity') > clock_timestamp()) >= p_most then
        raise exception 'a wallet has at most % API keys. Revoke one first', p_most using errcode = 'ZM409';
    end if;
    insert into app.api_keys as k (wallet_no, name, secret_hash, scopes, expires_at)
    values (v_wallet_no, p_name, p_secret_hash, p_scopes, p_expires_at)
    returning k.key_id, k.created_at into key_id, created_at;
end
$$;
comment on function app.create_api_key is
'Stores the hash of a new API key of the signed-in wallet. ZM409: the wallet has p_most valid keys already.';

grant execute on function app.create_api_key to zmart_api;
