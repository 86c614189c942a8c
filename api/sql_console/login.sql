-- name: excess_rights
-- Each reason why the session's login has more rights than an analyst; no row if it may only read the granted tables.
select session_user::text as login, found.reason
from pg_catalog.pg_roles as r
cross join lateral (
    values
    (r.rolsuper, 'it is a superuser'),
    (
        r.rolcreaterole or r.rolcreatedb or r.rolreplication or r.rolbypassrls,
        'it may create roles or databases, replicate, or bypass row security'
    ),
    -- A login that steps down to a role can step up again: `set role` checks the login, not the current role.
    (current_user <> session_user, 'it acts as another role'),
    (
        exists (
            select
            from pg_catalog.pg_roles as o
            where o.oid <> r.oid and pg_catalog.pg_has_role(r.oid, o.oid, 'member')
        ),
        'it is a member of another role'
    ),
    -- Ownership in other databases of the server cannot be checked from here. A temporary table belongs to the analyst.
    (
        exists (
            select
            from pg_catalog.pg_shdepend as d
            left join pg_catalog.pg_class as c on d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid
            where
                d.refclassid = 'pg_catalog.pg_authid'::regclass
                and d.refobjid = r.oid
                and d.deptype = 'o'
                and d.dbid in (
                    0, (select b.oid from pg_catalog.pg_database as b where b.datname = pg_catalog.current_database())
                )
                and c.relpersistence is distinct from 't'
        ),
        'it owns something in this database'
    )
) as found (is_so, reason)
where r.rolname = session_user and found.is_so

-- name: calling_fields
-- Names after a dot that may call a function: `(5).pg_sleep` is `pg_sleep(5)` to Postgres.
select p.proname::text
from pg_catalog.pg_proc as p
where
    p.proname = any(%(names)s::name [])
    and p.pronargs > 0
    -- A function of its argument alone can only compute; functions called by casts may be called by a cast.
    and p.provolatile <> 'i'
    and not exists (select from pg_catalog.pg_cast as c where c.castfunc = p.oid)
limit 1
