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
-- Fold one model again from the whole log; returns the number of rows that differed.
select folds.rebuild(%(name)s);

-- name: count_differences
-- Rows of one mart that differ from a rebuild on this snapshot, in both directions, all columns.
select folds.differences(%(name)s);

-- name: mart_size
-- The size of one mart in bytes.
select pg_table_size(to_regclass('marts.' || quote_ident(%(name)s)));

-- name: count_rows
-- The number of rows of one mart on this snapshot; {mart} is replaced by an identifier.
select count(*) from marts.{mart};

-- name: renew_identity
-- The epoch of this log; a new one on another or a restored server.
select raw.renew_identity()::text;

-- name: set_setting
-- A setting that views read.
update ops.settings set value = %(value)s where name = %(name)s and value <> %(value)s;

-- name: deployed_digest
-- The digest of the models last deployed in this database.
select value ->> 'digest' from ops.cursors where name = 'models_deployed';

-- name: record_deployed_digest
-- Store the digest of the deployed models.
insert into ops.cursors (name, value) values ('models_deployed', jsonb_build_object('digest', %(digest)s::text))
on conflict (name) do update set value = excluded.value, moved_at = clock_timestamp();
