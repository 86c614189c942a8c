-- It returns an outcome and does not raise, because the revocation after a reuse must be committed.
create or replace function app.rotate_session(
    p_refresh_hash bytea, p_next_hash bytea, p_expires_at timestamptz, out outcome text, out family_id uuid
)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_session app.sessions;
    v_next uuid;
begin
    perform app.require_wallet();
    select * into v_session from app.sessions as s where s.refresh_hash = p_refresh_hash for update;
    family_id := v_session.family_id;
    outcome := case
        when v_session.session_id is null then 'unknown'
        when v_session.revoked_at is not null then 'revoked'
        when v_session.replaced_by is not null then 'reused'
        when v_session.expires_at <= clock_timestamp() then 'expired'
        else 'rotated'
    end;
    if outcome = 'reused' then
        update app.sessions as s set revoked_at = clock_timestamp()
        where s.family_id = v_session.family_id and s.revoked_at is null;
    elsif outcome = 'rotated' then
        insert into app.sessions (wallet_no, refresh_hash, expires_at, family_id)
        values (v_session.wallet_no, p_next_hash, p_expires_at, v_session.family_id)
        returning session_id into v_next;
        update app.sessions as s set replaced_by = v_next where s.session_id = v_session.session_id;
    end if;
end
$$;
comment on function app.rotate_session is
'Replaces a refresh token of the current wallet by the next one. The outcome is rotated, unknown, expired, revoked, or reused, which revokes the family.';

grant execute on function app.rotate_session to zmart_api;
