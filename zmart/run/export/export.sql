-- Statements of zmart/run/export.

-- name: lock_exports
-- Take the right to export, until the end of the transaction.
lock table ops.exports in share update exclusive mode;

-- name: lock_holder
-- The session that exports at the moment; no row where it has just ended.
select
    a.pid,
    a.application_name,
    a.xact_start
from pg_locks as l
inner join pg_stat_activity as a on l.pid = a.pid
where
    l.relation = 'ops.exports'::regclass and l.mode = 'ShareUpdateExclusiveLock' and l.granted
    and l.database = (select d.oid from pg_database as d where d.datname = current_database())
limit 1;

-- name: still_locked
-- One row if this session still has the right to export.
select true from pg_locks as l
where
    l.relation = 'ops.exports'::regclass and l.mode = 'ShareUpdateExclusiveLock' and l.granted
    and l.pid = pg_backend_pid();

-- name: identity
-- The history of the log: its epoch, program and cluster, and its last entry that is in the chain.
select
    i.epoch::text,
    i.program_id,
    i.genesis_hash,
    (select coalesce(max(c.last_seq), 0) from raw.commits as c),
    (select coalesce(max(f.seq), 0) from raw.feed as f)
from raw.identity as i;

-- name: next_end
-- The last entry of the next segment: as many whole appends as fit into its size, at least one.
select coalesce(
    (
        select max(c.last_seq) from raw.commits as c
        where c.last_seq > %(after)s and c.last_seq <= least(%(after)s + %(size)s, %(until)s)
    ),
    (select min(c.last_seq) from raw.commits as c where c.last_seq > %(after)s)
);

-- name: chain_value
-- The value of the chain at an entry that ends an append; null for any other.
select encode(c.value, 'hex') from raw.commits as c
where c.last_seq = %(seq)s;

-- name: transactions_between
-- The range of transactions whose events are in a range of entries.
select
    coalesce(min(e.transaction_no), 0),
    coalesce(max(e.transaction_no), -1)
from raw.events as e
where e.seq between %(first)s and %(last)s;

-- name: copy_entries
-- The entries of a range in order. An event that is retracted or moved is in the row of that entry again, as it is now.
copy (
    select
        f.seq, f.kind, f.ref, f.at, f.market_no, m.account, m.market_id, f.wallet_no, w.wallet, encode(f.digest, 'hex'),
        f.event_seq, f.name, f.ordinal, f.clock, f.payload, f.context, f.order_key, f.retracted_at,
        f.transaction_no, f.signature, f.slot, f.index_in_block, f.order_settled, f.block_time, f.fee_lamports,
        encode(f.transaction_digest, 'hex'), f.first_seen_at, f.transaction_retracted_at,
        b.kind, b.vote, b.cast_at
    from (
        select
            g.seq, g.kind, g.ref, g.at, g.market_no, g.wallet_no, g.digest,
            e.seq as event_seq, e.name, e.ordinal, e.clock, e.payload, e.context, e.order_key, e.retracted_at,
            t.transaction_no, t.signature, t.slot, t.index_in_block, t.order_settled, t.block_time, t.fee_lamports,
            t.digest as transaction_digest, t.first_seen_at, t.retracted_at as transaction_retracted_at
        from raw.feed as g
        left join raw.events as e on g.seq = e.seq and e.seq between %(first)s and %(last)s
        left join raw.transactions as t
            on e.transaction_no = t.transaction_no
            and t.transaction_no between %(first_transaction)s and %(last_transaction)s
        where g.seq between %(first)s and %(last)s and g.kind not in ('retracted', 'moved')
        union all
        select
            g.seq, g.kind, g.ref, g.at, g.market_no, g.wallet_no, g.digest,
            e.seq, e.name, e.ordinal, e.clock, e.payload, e.context, e.order_key, e.retracted_at,
            t.transaction_no, t.signature, t.slot, t.index_in_block, t.order_settled, t.block_time, t.fee_lamports,
            t.digest, t.first_seen_at, t.retracted_at
        from raw.feed as g
        left join raw.events as e on g.ref = e.seq
        left join raw.transactions as t on e.transaction_no = t.transaction_no
        where g.seq between %(first)s and %(last)s and g.kind in ('retracted', 'moved')
    ) as f
    left join raw.markets_seen as m on f.market_no = m.market_no
    left join raw.wallets_seen as w on f.wallet_no = w.wallet_no
    left join app.ballots as b on f.kind = 'ballot' and f.seq = b.seq
    order by f.seq
) to stdout (format csv);

-- name: copy_commits
-- The appends of a range of entries, with their chain values.
copy (
    select c.first_seq, c.last_seq, encode(c.value, 'hex') from raw.commits as c
    where c.last_seq between %(first)s and %(last)s
    order by c.last_seq
) to stdout (format csv);

-- name: marts
-- The tables and views of the marts with their columns and types, in order.
select
    c.relname,
    array_agg(a.attname order by a.attnum),
    array_agg(format_type(a.atttypid, null) order by a.attnum)
from pg_class as c
inner join pg_attribute as a on c.oid = a.attrelid and a.attnum > 0 and not a.attisdropped
where c.relnamespace = 'marts'::regnamespace and c.relkind in ('r', 'v', 'm')
group by c.relname
order by c.relname;

-- name: applied_seqs
-- The seq up to which each mart holds the log, where that is not its end.
select m.name, m.applied_seq from ops.model_status as m
where m.behind > 0
union all
select s.name, s.applied_seq from ops.scheduled_models as s
order by name;

-- name: recorded
-- The segments of one location that are recorded as verified.
select
    e.dataset,
    e.first_seq,
    e.last_seq,
    e.manifest_sha256,
    e.damaged_at is not null
from ops.exports as e
where e.location = %(location)s and e.epoch = %(epoch)s::uuid
order by e.dataset, e.first_seq;

-- name: record
-- Record a segment whose files were read back and are equal.
insert into ops.exports (
    location, epoch, dataset, first_seq, last_seq, rows, bytes, manifest_path, manifest_sha256, chain_value, files,
    exported_at
)
values (
    %(location)s, %(epoch)s::uuid, %(dataset)s, %(first_seq)s, %(last_seq)s, %(rows)s, %(bytes)s, %(path)s, %(sha256)s,
    %(chain_value)s, %(files)s::jsonb, %(exported_at)s
)
on conflict (location, epoch, dataset, first_seq, last_seq) do update set
rows = excluded.rows, bytes = excluded.bytes, manifest_sha256 = excluded.manifest_sha256,
chain_value = excluded.chain_value, files = excluded.files, exported_at = excluded.exported_at,
verified_at = clock_timestamp(), damaged_at = null, damage = null;

-- name: record_damage
-- Record that a file of a segment is missing or differs.
update ops.exports set damaged_at = coalesce(damaged_at, clock_timestamp()), damage = %(damage)s
where
    location = %(location)s and epoch = %(epoch)s::uuid and dataset = %(dataset)s
    and first_seq = %(first)s and last_seq = %(last)s;

-- name: forget
-- Forget a snapshot of the marts that was deleted from the store.
delete from ops.exports
where
    location = %(location)s and epoch = %(epoch)s::uuid and dataset = 'marts' and last_seq = %(last)s;

-- name: exported_through
-- The seq up to which the log is exported and verified.
select ops.exported_through();
