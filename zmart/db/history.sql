-- name: create_history
-- The table that remembers every migration, in a schema apart from all others.
create schema if not exists zmart_migrations;
create table if not exists zmart_migrations.applied (
    version int primary key,
    name text not null unique,
    checksum text not null,
    applied_at timestamptz not null default clock_timestamp()
);
comment on table zmart_migrations.applied is 'One row per migration file, as it was when it was applied.';

-- name: has_history
-- Whether any migration was ever applied here.
select to_regclass('zmart_migrations.applied') is not null;

-- name: history
-- What was applied, oldest first.
select
    version,
    name,
    checksum
from zmart_migrations.applied
order by version;

-- name: record_migration
-- One more file was applied.
insert into zmart_migrations.applied (version, name, checksum)
values (%(version)s, %(name)s, %(checksum)s);

-- name: lock_deployments
-- One deployment at a time, until this transaction ends; the mode conflicts with itself, not with `remember`.
-- An advisory lock would do as well, were it not open to everybody who can connect.
lock table zmart_migrations.applied in share update exclusive mode;

-- name: disable_timeouts
-- A migration takes as long as it takes, and its notices are of no use.
set statement_timeout = 0;
set lock_timeout = 0;
set idle_in_transaction_session_timeout = 0;
set client_min_messages = warning;

-- name: become_owner
-- What is created from here on belongs to one role, whoever connected.
set role zmart_owner;
