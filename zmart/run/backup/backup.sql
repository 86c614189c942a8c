-- Statements of zmart/run/backup.

-- name: disable_timeouts
-- The connection waits while pg_dump or pg_restore works.
set statement_timeout = 0;
set idle_in_transaction_session_timeout = 0;

-- name: export_snapshot
-- The name under which pg_dump reads the same snapshot.
select pg_export_snapshot();

-- name: server_version
-- The server's version: 180006 for 18.6.
select current_setting('server_version_num')::int;

-- name: identity
-- The time of the snapshot, the epoch, and the end of the log with its mark; see raw.mark_of.
select
    to_char(transaction_timestamp() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
    i.epoch::text,
    h.seq,
    (select encode(substr(c.value, 1, 8), 'hex') from raw.commits as c where c.last_seq >= h.seq and h.seq > 0
    order by c.last_seq limit 1)
from raw.identity as i
cross join (select coalesce(max(f.seq), 0) as seq from raw.feed as f) as h;

-- name: migrations
-- The migrations of this database, oldest first.
select
    version,
    name,
    checksum
from zmart_migrations.applied
order by version;

-- name: schemas
-- Our schemas: everything that zmart_owner owns.
select nspname
from pg_namespace
where nspowner = 'zmart_owner'::regrole
order by 1;

-- name: tables
-- The tables of some schemas.
select
    n.nspname,
    c.relname
from pg_class as c
inner join pg_namespace as n on c.relnamespace = n.oid
where c.relkind = 'r' and n.nspname = any(%(schemas)s)
order by 1, 2;

-- name: extensions
-- The extensions that objects of some schemas use, each with its schema.
select distinct
    e.extname,
    n.nspname
from pg_extension as e
inner join pg_namespace as n on e.extnamespace = n.oid
inner join pg_depend as member
    on member.refclassid = 'pg_extension'::regclass and e.oid = member.refobjid and member.deptype = 'e'
inner join pg_depend as used on used.refclassid = member.classid and used.refobjid = member.objid
inner join pg_class as c on used.classid = 'pg_class'::regclass and used.objid = c.oid
inner join pg_namespace as s on c.relnamespace = s.oid
where s.nspname = any(%(schemas)s);

-- name: existing_schemas
-- Those of some schemas that exist here.
select nspname
from pg_namespace
where nspname = any(%(schemas)s)
order by 1;

-- name: other_processes
-- Processes of this product that are connected to this database.
select
    application_name,
    count(*)
from pg_stat_activity
where datname = current_database() and pid != pg_backend_pid() and application_name like 'zmart%%'
group by 1
order by 1;

-- name: default_privileges
-- A dump of single schemas does not contain privileges that hold for all schemas; this one is in zmart/db/schema.sql.
alter default privileges for role zmart_owner revoke execute on functions from public;

-- name: forget_identity
-- The server may repeat every identifier that the stored identity has. Without a feed table it is that of no database.
update raw.identity set feed_oid = null;

-- name: begin_epoch
-- Give the restored log an epoch of its own, and return it.
select raw.renew_identity()::text;

-- name: hold_keepers
-- Let keepers wait until the log has caught up with the chain: without an epoch in it, the row is not that of this log.
insert into ops.cursors (name, value)
values ('keeper_epoch', '{"epoch": null}')
on conflict (name) do update set value = excluded.value, moved_at = clock_timestamp();

-- name: record_restore
-- The restore, in the record of what operators did.
select ops.record_audit(%(who)s, 'restore', %(subject)s, %(reason)s, %(details)s);
