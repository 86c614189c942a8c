create or replace function raw.wallet_number(p_wallet text) returns int
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    v_no int;
begin
    select wallet_no into v_no from raw.wallets_seen where wallet = p_wallet;
    if v_no is null then
        insert into raw.wallets_seen (wallet_no, wallet)
        select coalesce(max(wallet_no), 0) + 1, p_wallet from raw.wallets_seen
        returning wallet_no into v_no;
    end if;
    return v_no;
end
$$;
comment on function raw.wallet_number is 'Returns the number of a wallet, and assigns one to a new wallet. The caller must hold raw.writer.';

grant execute on function raw.wallet_number to zmart_ingest;
