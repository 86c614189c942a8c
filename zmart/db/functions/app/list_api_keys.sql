create or replace function app.list_api_keys() returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform app.require_wallet();
    return (
        select coalesce(jsonb_agg(jsonb_build_object(
            'id', k.key_id, 'name', k.name, 'scopes', k.scopes, 'created_at', k.created_at,
            'expires_at', k.expires_at, 'revoked_at', k.revoked_at
        ) order by k.created_at desc, k.key_id), '[]')
        from (
            select * from app.api_keys
            where wallet_no = app.current_wallet_no()
            order by created_at desc, key_id limit 100
        ) as k
    );
end
$$;
comment on function app.list_api_keys is 'Returns the newest 100 API keys of the signed-in wallet, without their hashes.';

grant execute on function app.list_api_keys to zmart_api;
