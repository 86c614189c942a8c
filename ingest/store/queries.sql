-- name: prepare_session
-- An acknowledged commit is on disk, whatever the database's default is.
set synchronous_commit = on; set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off; set random_page_cost = 1.1;

-- name: lock_writer
-- Wait for the right to append; everything after it runs in the order of commits.
lock table raw.writer in exclusive mode;

-- name: append
-- Append a batch to the log and the marts, under the writer's lock; columns as raw.append names them.
select *
from raw.append(
    %(source)s,
    %(signatures)s::text [], %(slots)s::bigint [], %(indexes)s::int [], %(block_times)s::bigint [], %(errs)s::text [],
    %(fees)s::text [], %(digests)s::bytea [], %(sightings)s::int [],
    %(bundles)s::bytea [], %(bundled)s::int [], %(starts)s::int [], %(lengths)s::int [],
    %(owners)s::int [], %(order_keys)s::bigint [], %(ordinals)s::int [], %(names)s::text [],
    %(clocks)s::bigint [], %(payloads)s::jsonb [], %(contexts)s::jsonb [],
    %(market_nos)s::int [], %(accounts)s::text [], %(market_ids)s::text [], %(wallet_nos)s::int [], %(wallets)s::text [],
    %(wanted)s::text [], %(event_digests)s::bytea []
);

-- name: append_events
-- Add events of a transaction that the log has already, and their consequences; the caller folds.
select *
from raw.append_events(
    %(numbers)s::bigint [], %(left)s::bigint [],
    %(owners)s::int [], %(order_keys)s::bigint [], %(ordinals)s::int [], %(names)s::text [],
    %(clocks)s::bigint [], %(payloads)s::jsonb [], %(contexts)s::jsonb [],
    %(market_nos)s::int [], %(accounts)s::text [], %(market_ids)s::text [], %(wallet_nos)s::int [], %(wallets)s::text [],
    %(event_digests)s::bytea []
);

-- name: refresh_statistics
-- While the log is small, its plans must not be those of an empty one.
select raw.analyze_outgrown_tables();

-- name: head
-- The last seq assigned.
select coalesce(max(seq), 0) from raw.feed;

-- name: fold
-- Bring every folded mart up to the end of the log, in this transaction.
select folds.fold(%(from)s, %(to)s);

-- name: retry_behind
-- Make one attempt to bring a mart that is behind closer to the log; returns whether one was due.
select folds.retry_behind();

-- name: notify_feed
-- Notify readers: one notification per transaction, without data.
notify zmart_feed;

-- name: insert_dead_letter
-- Store an item that could not be used, once per (signature, ordinal, reason, bytes).
insert into raw.dead_letters as d (signature, ordinal, reason_code, reason, source, bytes, digest)
values (%(signature)s, %(ordinal)s, %(reason_code)s, %(reason)s, %(source)s, %(bytes)s, %(digest)s)
on conflict (signature, ordinal, reason_code, digest) do update
set sightings = d.sightings + 1, last_seen_at = clock_timestamp();

-- name: epoch
-- The epoch of the log; a new one where the server, its timeline, the database or the feed's table changed, or where this position,
-- which was acknowledged, is not in the log. Null while a promoted server waits for a process that holds a position.
select raw.confirm_identity(%(epoch)s, %(seq)s, %(mark)s, true)::text;

-- name: current_position
-- The epoch of what this transaction appends, the end of the log and its mark.
select
    i.epoch::text,
    h.seq,
    raw.mark_of(h.seq)
from raw.identity as i
cross join (select coalesce(max(f.seq), 0) as seq from raw.feed as f) as h;

-- name: request_recheck
-- Request a recheck: the finalized chain decides which of two versions of a transaction is correct.
insert into raw.pending_signatures as w (signature, reason)
select
    given.signature,
    'differs'
from unnest(%(signatures)s::text []) as given (signature)
on conflict (signature) do update
set reason = 'differs', attempts = 0, next_attempt_at = clock_timestamp();

-- name: stored_version
-- A stored transaction, its body in a bundle or alone.
select
    t.transaction_no,
    t.digest,
    coalesce(b.content, t.body),
    coalesce(t.bundle_start, 0),
    t.bundle_length,
    t.retracted_at is not null,
    case when t.order_settled then t.index_in_block end,
    extract(epoch from t.block_time)::bigint,
    t.fee_lamports::text
from raw.transactions as t
left join raw.bundles as b on t.bundle_no = b.bundle_no
where t.signature = %(signature)s;

-- name: poorer_transactions
-- Which of these transactions have fewer events in the log, or lower ordinals, than a delivery of the same content.
select g.signature
from unnest(%(signatures)s::text [], %(digests)s::bytea [], %(events)s::int [], %(last_ordinals)s::int []) as g (
    signature, digest, events, last_ordinal
)
inner join raw.transactions as t on t.signature = g.signature and t.digest = g.digest
where
    t.retracted_at is null
    and (
        select (count(*)::int, coalesce(max(e.ordinal), -1))
        from raw.events as e
        where e.transaction_no = t.transaction_no and e.retracted_at is null
    ) < (g.events, g.last_ordinal);

-- name: close_truncated
-- The events after the cut have been rebuilt: the dead letter about them alone is resolved.
update raw.dead_letters set resolved_at = clock_timestamp()
where signature = %(signature)s and reason_code = 'truncated' and ordinal is null and resolved_at is null;

-- name: close_recheck
-- The finalized chain has decided: the recheck is closed, and so are its dead letters.
with answered as (
    delete from raw.pending_signatures where signature = %(signature)s
)

update raw.dead_letters set resolved_at = clock_timestamp()
where signature = %(signature)s and reason_code = 'differs' and resolved_at is null;

-- name: retract
-- Take transactions and their events out of the folds, and append that to the feed; history keeps them.
with gone as (
    update raw.transactions set retracted_at = clock_timestamp()
    where signature = any(%(signatures)s) and retracted_at is null
    returning transaction_no
),

marked as (
    update raw.events as e set retracted_at = clock_timestamp()
    from gone
    where e.transaction_no = gone.transaction_no and e.retracted_at is null
    returning e.seq, e.market_no, e.wallet_no
),

cleared as (
    delete from raw.retraction_candidates where signature = any(%(signatures)s)
)

select raw.append_entries(
    array_agg('retracted'::text),
    array_agg(marked.seq order by marked.seq),
    array_agg(marked.market_no order by marked.seq),
    array_agg(marked.wallet_no order by marked.seq),
    array_agg(null::bytea)
)
from marked;

-- name: replace_transaction
-- Replace the stored version of a transaction by another one.
update raw.transactions
set
    slot = %(slot)s,
    index_in_block = %(index_in_block)s,
    order_settled = %(index_in_block)s::int is not null,
    block_time = to_timestamp(%(block_time)s),
    err = %(err)s,
    fee_lamports = %(fee_lamports)s,
    body = %(body)s,
    bundle_no = null,
    bundle_start = null,
    bundle_length = null,
    digest = %(digest)s,
    retracted_at = null
where transaction_no = %(transaction_no)s;

-- name: set_block_order
-- Set the index in the block of a slot's transactions; resolve_order_conflicts moves others if needed.
with said as (
    select *
    from unnest(%(signatures)s::text [], %(indexes)s::int []) as given (signature, index_in_block)
)

update raw.transactions as t set index_in_block = said.index_in_block, order_settled = true
from said
where t.signature = said.signature and t.slot = %(slot)s and not t.order_settled;

-- name: slots_of_transactions
-- The places of these transactions.
select array_agg(distinct t.slot) from raw.transactions as t where t.signature = any(%(signatures)s);

-- name: resolve_order_conflicts
-- Give every transaction of these slots a distinct place, and append the moves to the feed.
select raw.resolve_order_conflicts(%(slots)s);

-- name: stored_successes
-- Count and digest of the log's successful transactions between two slots, both included, without those of open gaps.
select
    count(*),
    sha256(convert_to(coalesce(string_agg(t.signature, e'\n' order by t.signature collate "C"), ''), 'UTF8'))
from raw.transactions as t
where
    t.slot between %(from_slot)s and %(to_slot)s and t.err is null and t.retracted_at is null
    and not exists (select from ops.gap_transactions as g where g.signature = t.signature and g.closed_at is null);

-- name: record_coverage
-- Record a proof; a proof of an empty range directly after another extends that one.
with extended as (
    update raw.coverage as c set to_slot = %(to_slot)s, proven_at = clock_timestamp()
    where
        c.source = %(source)s and c.to_slot = %(from_slot)s - 1
        and c.successful_transactions = 0 and %(successes)s = 0
    returning c.from_slot
)

insert into raw.coverage as c (source, from_slot, to_slot, successful_transactions, digest)
select
    %(source)s,
    %(from_slot)s,
    %(to_slot)s,
    %(successes)s,
    %(digest)s
where not exists (select from extended)
on conflict (source, from_slot) do update
set
    to_slot = excluded.to_slot,
    successful_transactions = excluded.successful_transactions,
    digest = excluded.digest,
    proven_at = clock_timestamp()
where c.to_slot <= excluded.to_slot;

-- name: append_finality
-- Advance the watermark; it never goes back.
select raw.append_entries(
    array['finalized_through'], array[%(slot)s::bigint], array[null::int], array[null::int], array[null::bytea]
)
where %(slot)s > coalesce(raw.finalized_through(), -1);

-- name: log_stats
-- Statistics of the log; the number of events is an estimate, because counting a large log takes long.
select
    (select coalesce(max(f.seq), 0) from raw.feed as f) as head_seq,
    (select greatest(c.reltuples, 0)::bigint from pg_class as c where c.oid = 'raw.events'::regclass) as events,
    coalesce((
        select extract(epoch from clock_timestamp() - f.at)::double precision
        from raw.feed as f
        where f.seq = (select max(e.seq) from raw.events as e)
    ), -1) as last_event_age_seconds,
    (
        select greatest(count(*) - 1, 0)
        from unnest((select range_agg(c.slots) from raw.covered_slots as c where c.source in ('walk', 'backfill')))
    ) as coverage_gaps,
    (select count(*) from raw.pending_signatures) as wanted,
    (select count(*) from raw.retraction_candidates) as suspects,
    (select count(*) from ops.models as m where m.stale_since is not null) as stale_models,
    (select count(*) from ops.models as m where m.applied_seq is not null and m.stale_since is null) as behind_models,
    pg_database_size(current_database()) as database_bytes,
    coalesce((
        select jsonb_object_agg(letters.reason_code, letters.n)
        from (
            select
                d.reason_code,
                count(*) as n
            from raw.dead_letters as d
            where d.resolved_at is null
            group by d.reason_code
        ) as letters
    ), '{}') as open_dead_letters;

-- name: mark_of
-- The mark of the commit that holds a seq.
select raw.mark_of(%(seq)s);
