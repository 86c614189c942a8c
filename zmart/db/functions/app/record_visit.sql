create or replace function app.record_visit() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    -- A statement of its own: the policy looks the number up in the snapshot of the insert.
    v_wallet_no int := app.ensure_wallet_no();
begin
    insert into app.wallets (wallet_no, last_seen_at) values (v_wallet_no, clock_timestamp())
    on conflict (wallet_no) do update set last_seen_at = excluded.last_seen_at;
end
$$;
comment on function app.record_visit is 'Record that the signed-in wallet is here now. ZM403 where no wallet is signed in.';

grant execute on function app.record_visit to zmart_api;
