create or replace function app.answer_idempotency_key(
    p_key text, p_status int, p_content_type text, p_body bytea
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if p_status is null then
        delete from app.idempotency_keys
        where wallet_no = app.current_wallet_no() and idempotency_key = p_key and status is null and not is_written;
        -- It has written and failed afterwards: repeats learn at once that the answer is lost.
        update app.idempotency_keys set claimed_until = clock_timestamp()
        where wallet_no = app.current_wallet_no() and idempotency_key = p_key and status is null;
    else
        update app.idempotency_keys set status = p_status, content_type = p_content_type, body = p_body
        where wallet_no = app.current_wallet_no() and idempotency_key = p_key;
    end if;
end
$$;
comment on function app.answer_idempotency_key is
'Stores the answer for repeats of a request. Without a status, the request failed: its key is free again, unless the request has written.';

grant execute on function app.answer_idempotency_key to zmart_api;
