-- name: create_history
-- Create the tables that record every migration and every function file, in a schema of their own.
create schema if not exists zmart_migrations;
create table if not exists zmart_migrations.applied (
    version int primary key,
    name text not null unique,
    checksum text not null,
    applied_at timestamptz not null default clock_timestamp()
);
comment on table zmart_migrations.applied is 'Holds one row per applied migration file, with the checksum that it had.';
create table if not exists zmart_migrations.functions (
    name text primary key,
    checksum text not null,
    applied_at timestamptz not null default clock_timestamp()
);
comment on table zmart_migrations.functions is
'Holds one row per file of zmart/db/functions, and one for zmart/db/policies.sql, with the checksum that was applied last.';

-- name: has_history
-- Return whether a migration was ever applied here.
select to_regclass('zmart_migrations.applied') is not null;

-- name: has_function_history
-- Return whether function files were ever applied here. Databases before 0034 have no such table.
select to_regclass('zmart_migrations.functions') is not null;

-- name: history
-- Return the applied migrations, oldest first.
select
    version,
    name,
    checksum
from zmart_migrations.applied
order by version;

-- name: function_history
-- Return the checksum of each function file that was applied.
select
    name,
    checksum
from zmart_migrations.functions;

-- name: record_migration
-- Record one applied migration.
insert into zmart_migrations.applied (version, name, checksum)
values (%(version)s, %(name)s, %(checksum)s);

-- name: record_function
-- Record one applied function file.
insert into zmart_migrations.functions (name, checksum)
values (%(name)s, %(checksum)s)
on conflict (name) do update set checksum = excluded.checksum, applied_at = excluded.applied_at;

-- name: forget_functions
-- Delete the records of files that no longer exist.
delete from zmart_migrations.functions where not name = any(%(names)s);

-- name: unknown_functions
-- Return functions in our schemas that no file defines, and overloads of functions that a file defines. Functions of
-- folded models are generated, and functions of extensions belong to their extension.
select p.oid::regprocedure::text
from pg_proc as p
inner join pg_namespace as n on p.pronamespace = n.oid
where
    n.nspname in ('raw', 'ops', 'app', 'folds', 'lmsr')
    and not exists (select from pg_depend as d where d.objid = p.oid and d.deptype = 'e')
    and not (n.nspname = 'folds' and (p.proname = 'apply' or p.proname in (
        select unnest(array['apply_' || m.name, 'refold_' || m.name, m.staged_as]) from ops.models as m
    )))
    and (
        not n.nspname || '.' || p.proname = any(%(names)s)
        or (select count(*) from pg_proc as o where o.pronamespace = p.pronamespace and o.proname = p.proname) > 1
    )
order by 1;

-- name: regenerate_model_functions
-- Write the functions of the folded models again, because a function that generates or serves them has changed.
do $$
declare
    m ops.models;
begin
    for m in select * from ops.models where to_regclass(format('marts.%I', name)) is not null loop
        perform folds.create_functions(m);
    end loop;
    if found then
        perform folds.create_dispatcher();
    end if;
end
$$;

-- name: lock_deployments
-- Allow one deployment at a time until this transaction ends. The mode conflicts with itself, but not with
-- `record_migration`. It is no advisory lock, because every role that can connect could take that.
lock table zmart_migrations.applied in share update exclusive mode;

-- name: running_services
-- Return the processes of ours that are connected to this database, by the names that they give to their connections.
-- Those that only look at it, or that wait for this migration, may stay.
select (array_agg(distinct a.application_name order by a.application_name))[:3]
from pg_stat_activity as a
where
    a.datname = current_database() and a.application_name ~ '^zmart '
    and not a.application_name = any(
        '{zmart migrate,zmart up,zmart doctor,zmart alerts,zmart audit,zmart backup,zmart pooler check}'::text []
    )
having count(*) > 0;

-- name: limit_lock_waits
-- Everybody who reads or writes a table queues behind a migration that waits for its lock, so it waits only shortly.
set local lock_timeout = '3s';

-- name: limit_deployment_wait
-- Another deployment may rewrite large tables; one that hangs must not hold up this one for ever.
set local lock_timeout = '1h';

-- name: blocking_sessions
-- Return the sessions that have had a transaction open for longest, which are those that a migration waits for.
select format(
    '%s (pid %s, user %s, for %s s)',
    coalesce(nullif(a.application_name, ''), 'a session without a name'), a.pid, a.usename,
    extract(epoch from clock_timestamp() - a.xact_start)::int
)
from pg_stat_activity as a
where
    a.datname = current_database() and a.xact_start is not null and a.pid <> pg_backend_pid()
    and a.backend_type = 'client backend' and a.application_name <> 'zmart migrate'
order by a.xact_start
limit 3;

-- name: disable_timeouts
-- Disable timeouts, because a migration may take any time, and notices, because nobody reads them. Waits for locks are
-- limited in each transaction.
set statement_timeout = 0;
set lock_timeout = 0;
set idle_in_transaction_session_timeout = 0;
set client_min_messages = warning;

-- name: become_owner
-- Create everything that follows as one role, whichever login connected.
set role zmart_owner;

-- name: describe_objects
-- Return one row per table, view and function of ours: its name, and a text that changes with its definition. Parts
-- that Postgres versions print differently (bodies of `begin atomic`, names of `not null`) are left out.
with ours as (
    select
        oid,
        nspname
    from pg_namespace
    where nspname in ('raw', 'ops', 'app', 'folds', 'lmsr')
),

relation_parts as (
    select
        a.attrelid as relation,
        'column' as part,
        a.attname as name,
        concat_ws(
            ' ', a.attnum, format_type(a.atttypid, a.atttypmod), a.attcollation::regcollation, a.attnotnull,
            a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid)
        ) as definition
    from pg_attribute as a
    left join pg_attrdef as d on a.attrelid = d.adrelid and a.attnum = d.adnum
    where a.attnum > 0 and not a.attisdropped
    union all
    select
        c.conrelid,
        'constraint',
        c.conname,
        pg_get_constraintdef(c.oid)
    from pg_constraint as c
    where c.contype in ('p', 'u', 'c', 'f')
    union all
    select
        i.indrelid,
        'index',
        i.indexrelid::regclass::text,
        pg_get_indexdef(i.indexrelid)
    from pg_index as i
    union all
    select
        p.polrelid,
        'policy',
        p.polname,
        concat_ws(
            ' ', p.polcmd, p.polroles::regrole []::text, pg_get_expr(p.polqual, p.polrelid),
            pg_get_expr(p.polwithcheck, p.polrelid)
        )
    from pg_policy as p
    union all
    select
        t.tgrelid,
        'trigger',
        t.tgname,
        pg_get_triggerdef(t.oid)
    from pg_trigger as t
    where not t.tgisinternal
)

select
    case when c.relkind = 'v' then 'view ' else 'table ' end || ours.nspname || '.' || c.relname as name,
    string_agg(concat_ws(' ', r.part, r.name, r.definition), E'\n' order by r.part, r.name, r.definition) as definition
from pg_class as c
inner join ours on c.relnamespace = ours.oid
inner join relation_parts as r on c.oid = r.relation
where c.relkind in ('r', 'v', 'p')
group by c.relkind, ours.nspname, c.relname
union all
select
    'function ' || ours.nspname || '.' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
    concat_ws(' ', pg_get_function_result(p.oid), p.prosecdef, p.provolatile, p.prosrc)
from pg_proc as p
inner join ours on p.pronamespace = ours.oid
where
    not exists (select from pg_depend as d where d.objid = p.oid and d.deptype = 'e')
    and not (ours.nspname = 'folds' and p.proname ~ '^(apply|apply_.*|refold_.*|stg_.*)$')
order by 1;
