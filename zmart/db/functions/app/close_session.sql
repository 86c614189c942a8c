create or replace function app.close_session(p_refresh_hash bytea) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_family uuid;
begin
    perform app.require_wallet();
    select family_id into v_family from app.sessions where refresh_hash = p_refresh_hash;
    update app.sessions set revoked_at = clock_timestamp() where family_id = v_family and revoked_at is null;
    return found;
end
$$;
comment on function app.close_session is 'Signs the current wallet out: revokes the family of this refresh token, and returns whether a session was open.';

grant execute on function app.close_session to zmart_api;
