-- The earlier frontend records when a wallet was last seen (protocol.md 9.1).
alter table app.wallets add column last_seen_at timestamptz;
comment on column app.wallets.last_seen_at is 'When the wallet last reported itself; null if it never did.';
