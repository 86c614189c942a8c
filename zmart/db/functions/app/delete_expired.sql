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
    -- Keys of wallets that send no other; app.claim_idempotency_key deletes those of its wallet.
    delete from app.idempotency_keys as i where (i.wallet_no, i.idempotency_key) in (
        select e.wallet_no, e.idempotency_key from app.idempotency_keys as e
        where e.expires_at < clock_timestamp() - interval '1 hour' limit 100);
end
$$;
comment on function app.delete_expired is 'Deletes up to 100 each of nonces, sessions and idempotency keys that expired more than an hour ago.';
