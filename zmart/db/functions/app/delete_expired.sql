create or replace function app.delete_expired() returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    -- One transaction at a time deletes. Others skip the work and do not wait.
    if not pg_try_advisory_xact_lock(hashtextextended('zmart forget expired', 0)) then
        return;
    end if;
    delete from app.redeemed_nonces where nonce in (
        select nonce from app.redeemed_nonces where expires_at < clock_timestamp() - interval '1 hour' limit 100);
    delete from app.sessions where session_id in (
        select session_id from app.sessions where expires_at < clock_timestamp() - interval '1 hour' limit 100);
end
$$;
comment on function app.delete_expired is 'Deletes up to 100 nonces and 100 sessions that expired more than an hour ago.';
