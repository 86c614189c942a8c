create or replace function app.current_wallet_no() returns int
language sql stable
begin atomic
    select w.wallet_no from raw.wallets_seen as w where w.wallet = app.current_wallet();
end;
comment on function app.current_wallet_no is 'Returns the number of the wallet for which this request acts. Null if the log has no number for it.';

grant execute on function app.current_wallet_no to zmart_api;
