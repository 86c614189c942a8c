-- name: parameters
-- The server's version, and the settings that make a commit durable, as this role has them.
select
    current_setting('server_version_num')::int,
    current_setting('fsync'),
    current_setting('full_page_writes'),
    current_setting('synchronous_commit');

-- name: roles
-- Our roles, and whether they bypass row-level security.
select
    rolname,
    rolsuper,
    rolbypassrls
from pg_roles
where rolname = any(%(names)s);

-- name: has_privilege
-- Whether a role has a privilege on a relation; null if either does not exist.
select has_table_privilege(r.oid, c.oid, %(privilege)s)
from pg_roles as r, (select to_regclass(%(relation)s) as oid) as c
where r.rolname = %(role)s and c.oid is not null;

-- name: has_models_table
-- Whether the table of models exists.
select to_regclass('ops.model_status') is not null;
