-- name: models
-- Every folded model and its state.
select
    name,
    is_stale,
    applied_seq,
    behind,
    coalesce(reason, '')
from ops.model_status
order by name;

-- name: scheduled_marts
-- Every scheduled mart, each after those that it is computed from.
select r.name
from ops.scheduled_models as r
order by (select count(*) from ops.scheduled_models as o where o.name = any(r.reads)), r.name;

-- name: lock_refresh
-- One refresh at a time.
lock table ops.scheduled_models in share row exclusive mode;

-- name: refresh
-- Compute one scheduled mart again; returns the number of rows written.
select folds.refresh(%(name)s);

-- name: index_changes
-- Create the indexes that the models of the live marts require.
select statement from folds.index_changes() as changes (statement);

-- name: rebuild
-- Fold one model again from the whole log, or from staged rows; returns the number of rows that differed.
select folds.rebuild_from(%(name)s, %(rows)s, %(to)s);

-- name: staged_models
-- The models that begin with a step that others share, each with the step.
select
    name,
    staged_as
from ops.models
where staged_as is not null
order by name;

-- name: stage_rows
-- Compute a step for all models that share it: the name of the table, and the seq up to which it has rows.
select
    o_rows,
    o_to
from folds.stage_rows(%(step)s);

-- name: drop_staged_rows
-- Drop what this session has staged.
select folds.drop_staged_rows();

-- name: count_differences
-- Rows of one mart that differ from a rebuild on this snapshot, in both directions, all columns.
select folds.differences(%(name)s);

-- name: mart_size
-- The size of one mart in bytes.
select pg_table_size(to_regclass('marts.' || quote_ident(%(name)s)));

-- name: count_rows
-- The number of rows of one mart on this snapshot; {mart} is replaced by an identifier.
select count(*) from marts.{mart};

-- name: confirm_identity
-- The epoch of this log; a new one on another or a restored server. Null while a promoted one waits for a process that holds a position.
select raw.confirm_identity()::text;

-- name: set_setting
-- A setting that views read.
update ops.settings set value = %(value)s where name = %(name)s and value <> %(value)s;

-- name: prepare_trials
-- The schema of `zmart dbt`, and the functions that models call, where the role exists.
do $$
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'zmart_dbt') then
        create schema if not exists dbt;
        comment on schema dbt is 'Models that `zmart dbt` tries. No service reads it; drop what is in it at any time.';
        grant usage, create on schema dbt to zmart_dbt;
        grant usage on schema dbt to analyst;
        alter default privileges for role zmart_dbt in schema dbt grant select on tables to analyst;
        grant usage on schema folds to zmart_dbt;
        grant execute on function folds.fees_in_force, folds.average_cost to zmart_dbt;
    end if;
end
$$;

-- name: missing_for_trials
-- The first thing that `zmart dbt` lacks here, and the statement that mends it; no row where it can run.
select
    found.missing,
    found.remedy
from (
    values
    (
        not exists (select from pg_catalog.pg_roles where rolname = 'zmart_dbt'),
        'the role zmart_dbt does not exist',
        'create role zmart_dbt; grant analyst to zmart_dbt; grant zmart_dbt to zmart_owner'
    ),
    (
        not exists (
            select
            from pg_catalog.pg_roles as r
            where r.rolname = 'zmart_dbt' and pg_catalog.pg_has_role(session_user, r.oid, 'member')
        ),
        'the login ' || session_user || ' may not act as zmart_dbt',
        'grant zmart_dbt to ' || pg_catalog.quote_ident(session_user)
    ),
    (
        not exists (
            select
            from pg_catalog.pg_roles as r
            inner join pg_catalog.pg_roles as a on a.rolname = 'analyst'
            where r.rolname = 'zmart_dbt' and pg_catalog.pg_has_role(r.oid, a.oid, 'member')
        ),
        'the role zmart_dbt may not read the marts',
        'grant analyst to zmart_dbt'
    ),
    (
        not exists (
            select
            from pg_catalog.pg_roles as r
            inner join pg_catalog.pg_namespace as n on n.nspname = 'dbt'
            where r.rolname = 'zmart_dbt' and pg_catalog.has_schema_privilege(r.oid, n.oid, 'create')
        ),
        'the schema dbt does not exist',
        null
    )
) as found (is_missing, missing, remedy)
where found.is_missing
limit 1;

-- name: trial_source
-- The database that `zmart dbt` reads, and the newest seq of its log.
select
    current_database()::text,
    coalesce((select max(f.seq) from raw.feed as f), 0);

-- name: deployed_digest
-- The digest of the models last deployed in this database.
select value ->> 'digest' from ops.cursors where name = 'models_deployed';

-- name: record_deployed_digest
-- Store the digest of the deployed models.
insert into ops.cursors (name, value) values ('models_deployed', jsonb_build_object('digest', %(digest)s::text))
on conflict (name) do update set value = excluded.value, moved_at = clock_timestamp();
