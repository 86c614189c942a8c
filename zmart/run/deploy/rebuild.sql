-- name: models
-- Every folded model, and where it stands.
select
    name,
    is_stale,
    applied_seq,
    behind,
    coalesce(reason, '')
from ops.model_status
order by name;

-- name: scheduled_marts
-- Every scheduled mart, each after those it is computed from.
select r.name
from ops.scheduled_models as r
order by (select count(*) from ops.scheduled_models as o where o.name = any(r.reads)), r.name;

-- name: lock_refresh
-- One refresh at a time.
lock table ops.scheduled_models in share row exclusive mode;

-- name: refresh
-- Compute one scheduled mart again; the number of rows written.
select folds.refresh(%(name)s);

-- name: index_changes
-- What gives the live marts the indexes that their models ask for.
select statement from folds.index_changes() as changes (statement);

-- name: rebuild
-- Fold one model again from the whole log; the number of rows that differed.
select folds.rebuild(%(name)s);

-- name: count_differences
-- Rows of one mart that differ from a rebuild on this snapshot, both ways, all columns.
select folds.differences(%(name)s);

-- name: mart_size
-- How large one mart is, in bytes.
select pg_table_size(to_regclass('marts.' || quote_ident(%(name)s)));

-- name: count_rows
-- Rows of one mart on this snapshot; {mart} is put in as an identifier.
select count(*) from marts.{mart};

-- name: renew_identity
-- The epoch of this log; a new one on another or a restored server.
select raw.renew_identity()::text;

-- name: set_setting
-- A setting that views read.
update ops.settings set value = %(value)s where name = %(name)s and value <> %(value)s;

-- name: deployed_digest
-- Digest of the models last deployed here.
select value ->> 'digest' from ops.cursors where name = 'models_deployed';

-- name: record_deployed_digest
-- Remember the digest of the models deployed here.
insert into ops.cursors (name, value) values ('models_deployed', jsonb_build_object('digest', %(digest)s::text))
on conflict (name) do update set value = excluded.value, moved_at = clock_timestamp();
