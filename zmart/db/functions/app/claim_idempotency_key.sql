create or replace function app.claim_idempotency_key(
    p_key text, p_request_hash bytea, p_claim_seconds int, p_keep_seconds int,
    out outcome text, out status int, out content_type text, out body bytea
)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_wallet_no int := app.ensure_wallet_no();
    v_found app.idempotency_keys;
begin
    delete from app.idempotency_keys as i where (i.wallet_no, i.idempotency_key) in (
        select e.wallet_no, e.idempotency_key from app.idempotency_keys as e
        where e.wallet_no = v_wallet_no and e.expires_at <= v_now limit 100 for update skip locked);
    insert into app.idempotency_keys (wallet_no, idempotency_key, request_hash, claimed_until, expires_at)
    values (
        v_wallet_no, p_key, p_request_hash,
        v_now + make_interval(secs => p_claim_seconds), v_now + make_interval(secs => p_keep_seconds)
    ) on conflict do nothing;
    if found then
        outcome := 'claimed';
        return;
    end if;
    select * into v_found from app.idempotency_keys as i
    where i.wallet_no = v_wallet_no and i.idempotency_key = p_key for update;
    outcome := case
        when v_found.request_hash is null then 'running'
        when v_found.request_hash <> p_request_hash then 'other_request'
        when v_found.status is not null then 'answered'
        when v_found.claimed_until > v_now then 'running'
        when v_found.is_written then 'answer_lost'
        else 'claimed'
    end;
    if outcome = 'answered' then
        status := v_found.status;
        content_type := v_found.content_type;
        body := v_found.body;
    elsif outcome = 'claimed' then
        update app.idempotency_keys as i set claimed_until = v_now + make_interval(secs => p_claim_seconds)
        where i.wallet_no = v_wallet_no and i.idempotency_key = p_key;
    end if;
end
$$;
comment on function app.claim_idempotency_key is
'Claims an Idempotency-Key of the signed-in wallet. The outcome is claimed, running, answered (with the answer), other_request, or answer_lost: it has written, and its process died.';

grant execute on function app.claim_idempotency_key to zmart_api;
