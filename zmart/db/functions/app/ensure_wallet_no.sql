-- Only a wallet without a number waits for the writer's lock.
create or replace function app.ensure_wallet_no() returns int
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    v_wallet text := app.require_wallet();
    v_no int;
begin
    select wallet_no into v_no from raw.wallets_seen where wallet = v_wallet;
    if v_no is null then
        perform raw.take_writer();
        v_no := raw.wallet_number(v_wallet);
    end if;
    return v_no;
end
$$;
comment on function app.ensure_wallet_no is 'Returns the number of the signed-in wallet, and assigns one if it has none.';
