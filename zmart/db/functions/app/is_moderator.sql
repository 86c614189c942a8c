create or replace function app.is_moderator() returns boolean
language sql stable parallel safe
return coalesce(current_setting('zmart.is_moderator', true), '') = 'true' and app.current_wallet() is not null;
comment on function app.is_moderator is 'Returns whether this request acts for a wallet of MODERATOR_WALLETS.';

grant execute on function app.is_moderator to zmart_api;
