-- zmart_api reads sessions and nonces through functions only. It sets zmart.wallet itself, so its right to read the tables
-- showed the sessions of every wallet.

revoke select on app.sessions from zmart_api;
revoke select on app.redeemed_nonces from zmart_api;
