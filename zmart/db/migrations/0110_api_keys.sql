-- API keys of wallets, and the requests that are answered once for each Idempotency-Key (docs/api.md).
create table app.api_keys (
    key_id uuid default gen_random_uuid() primary key,
    wallet_no int not null references raw.wallets_seen,
    name text not null check (length(name) between 1 and 100),
    secret_hash bytea not null unique check (length(secret_hash) = 32),
    scopes text [] not null check (scopes <> '{}' and scopes <@ array['read', 'trade', 'write']),
    created_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz,
    revoked_at timestamptz
);
comment on table app.api_keys is 'Holds one row per API key. The key itself is shown once, to its wallet; this is its SHA-256.';
comment on column app.api_keys.expires_at is 'Null if the key is valid until it is revoked.';
-- Finds the keys of a wallet.
create index api_keys_wallet_no_idx on app.api_keys (wallet_no);
alter table app.api_keys enable row level security;
alter table app.api_keys force row level security;

create table app.idempotency_keys (
    wallet_no int not null references raw.wallets_seen,
    idempotency_key text collate "C" not null check (length(idempotency_key) between 1 and 255),
    request_hash bytea not null check (length(request_hash) = 32),
    claimed_until timestamptz not null,
    is_written boolean not null default false,
    status int,
    content_type text,
    body bytea,
    expires_at timestamptz not null,
    primary key (wallet_no, idempotency_key)
);
comment on table app.idempotency_keys is
'Holds one row per Idempotency-Key of a wallet: the request that came with it first, and the answer to its repeats.';
comment on column app.idempotency_keys.request_hash is 'SHA-256 of path and body.';
comment on column app.idempotency_keys.claimed_until is
'Until then a process is expected to answer; afterwards another may run the request, unless it has written.';
comment on column app.idempotency_keys.is_written is 'Set in the transaction of the request''s own write, which is therefore never repeated.';
comment on column app.idempotency_keys.status is 'Null until the request was answered.';
-- Finds expired rows, which are deleted.
create index idempotency_keys_expires_at_idx on app.idempotency_keys (expires_at);
alter table app.idempotency_keys enable row level security;
alter table app.idempotency_keys force row level security;
