-- The storage of the development chain, in SQLite. A block is written in one transaction, so that
-- a process that is killed leaves whole blocks.

create table if not exists facts (
  name text primary key,
  value text not null
) without rowid;

create table if not exists blocks (
  slot integer primary key,
  parent_slot integer not null,
  height integer not null,
  time integer not null,
  blockhash text not null,
  previous_blockhash text not null
);

create table if not exists transactions (
  slot integer not null,
  position integer not null,
  signature text not null unique,
  raw blob not null,
  -- JSON, or null for success.
  err text,
  -- err, fee, logs, inner instructions, units and balances as JSON.
  outcome blob not null,
  is_ours integer not null,
  unique (slot, position)
);

create table if not exists mentions (
  address text not null,
  slot integer not null,
  position integer not null,
  primary key (address, slot, position)
) without rowid;

create table if not exists accounts (
  address text primary key,
  lamports integer not null,
  owner text not null,
  executable integer not null,
  data blob not null
) without rowid;

-- Webhook bodies without a response; an answered delivery is deleted.
create table if not exists deliveries (
  id integer primary key,
  -- Seconds since 1970 before which it is not sent.
  due_at real not null,
  attempts integer not null default 0,
  -- JSON array of [slot, position].
  places text not null
);

create index if not exists deliveries_due on deliveries (due_at);
