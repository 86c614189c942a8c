create or replace function app.current_wallet() returns text
language sql stable parallel safe
return nullif(current_setting('zmart.wallet', true), '');
comment on function app.current_wallet is 'Returns the wallet for which this request acts, or null.';

grant execute on function app.current_wallet to zmart_api;
