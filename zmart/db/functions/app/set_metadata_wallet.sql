create or replace function app.set_metadata_wallet() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    select wallet into new.user_wallet from raw.wallets_seen where wallet_no = new.wallet_no;
    return new;
end
$$;
comment on function app.set_metadata_wallet is 'Writes the address of the wallet beside its number.';

create or replace trigger set_metadata_wallet before insert or update of wallet_no on app.market_metadata
for each row execute function app.set_metadata_wallet();
