-- Statements of zmart/run/deploy/compaction.py.

-- name: state
-- Where the last compaction stopped, whether rows may still have the bytes of a dropped column, and the pages of the table.
select
    (select c.value from ops.cursors as c where c.name = 'compaction'),
    (select count(*) > 0 from pg_attribute as a where a.attrelid = 'raw.events'::regclass and a.attisdropped),
    pg_relation_size('raw.events') / current_setting('block_size')::int;

-- name: save_state
-- Record where it stopped, in the transaction of the step.
insert into ops.cursors (name, value)
values ('compaction', jsonb_build_object('next', %(next)s::bigint, 'pages', %(pages)s::bigint, 'is_done', %(is_done)s::boolean))
on conflict (name) do update set value = excluded.value, moved_at = clock_timestamp();

-- name: lock_log
-- Wait for the right to append, at most five seconds, so that no append waits for single rows.
select raw.take_writer();

-- name: rewrite
-- Write the rows of some pages again, without the bytes of dropped columns.
update raw.events as e set clock = e.clock
where e.ctid >= format('(%%s,0)', %(first)s::bigint)::tid and e.ctid < format('(%%s,0)', %(next)s::bigint)::tid;

-- name: vacuum
-- Make the space of the old rows free for the next ones.
vacuum raw.events;

-- name: invalid_indexes
-- Indexes that were not built to the end.
select c.relname from pg_index as i inner join pg_class as c on i.indexrelid = c.oid
where i.indrelid = 'raw.events'::regclass and not i.indisvalid;

-- name: rebuild_indexes
-- Build the indexes of the events again, while they are read and written.
reindex table concurrently raw.events;
