-- name: create_listing_table
-- The chain's list, page by page; private to the connection.
create temporary table if not exists seen (
    commitment text collate "C" not null,
    signature text collate "C" not null,
    slot bigint not null,
    succeeded boolean not null,
    index_in_block int,
    primary key (commitment, signature)
);

-- name: clear_listing
-- Start an empty list.
delete from seen where commitment = %(commitment)s;

-- name: vacuum_listing
-- Free the space of the list before: autovacuum does not see temporary tables, so each walk would add to the file.
vacuum seen;

-- name: record_listing
-- One page of the list.
insert into seen (commitment, signature, slot, succeeded, index_in_block)
select
    %(commitment)s,
    given.signature,
    given.slot,
    given.succeeded,
    given.index_in_block
from unnest(%(signatures)s::text [], %(slots)s::bigint [], %(succeeded)s::boolean [], %(indexes)s::int []) as given (
    signature, slot, succeeded, index_in_block
)
on conflict (commitment, signature) do update
set slot = excluded.slot, succeeded = excluded.succeeded, index_in_block = excluded.index_in_block;

-- name: listed_order
-- Slots with transactions of provisional order whose index in the block the list contains, the oldest first.
select
    t.slot,
    array_agg(t.signature order by t.signature),
    array_agg(s.index_in_block order by t.signature)
from raw.transactions as t
inner join seen as s on t.signature = s.signature and t.slot = s.slot
where
    s.commitment = %(commitment)s and s.index_in_block is not null
    and not t.order_settled and t.retracted_at is null and t.slot > %(after)s
group by t.slot
order by t.slot
limit %(limit)s;

-- name: newest_possible_slot
-- The highest slot that the chain can have reached by now; null before a node has reported one.
select raw.newest_possible_slot();

-- name: save_node_slot
-- The newest slot that every node has reported, and the time of this answer. A node that lags changes neither.
insert into ops.cursors as c (name, value) values ('node_slot', to_jsonb(%(slot)s::bigint))
on conflict (name) do update set value = excluded.value, moved_at = clock_timestamp()
where c.value::bigint < excluded.value::bigint;

-- name: impossible_transactions
-- Transactions in the log so far above the node's slot that the chain cannot have reached theirs.
select
    t.signature,
    t.slot
from raw.transactions as t
where t.slot > raw.newest_possible_slot() + %(margin)s and t.retracted_at is null
order by t.slot, t.signature
limit 256;

-- name: request_versions
-- Request the finalized version of transactions that the log has in another slot than the chain.
select raw.request_signatures(%(signatures)s::text [], 'differs', %(slots)s::bigint []);

-- name: proven_slots
-- The verified and the final slot of the log, and whether it contains anything as old as that.
select
    coalesce(raw.verified_through(), -1),
    coalesce(raw.finalized_through(), -1),
    exists(
        select from raw.transactions as t where t.slot <= raw.finalized_through() and t.retracted_at is null
    );

-- name: final_slot
-- The last slot in which log and finalized chain are equal.
select raw.finalized_through();

-- name: holds_anything
-- Whether the log holds a success up to a slot, which a complete list has to contain.
select exists(
    select from raw.transactions as t where t.slot <= %(top)s and t.err is null and t.retracted_at is null
);

-- name: request_missing
-- Queue the listed successes that the log does not contain for fetching; returns their number.
with missing as (
    select
        s.signature,
        s.slot
    from seen as s
    where
        s.commitment = %(commitment)s and s.succeeded
        and not exists (
            select from raw.transactions as t where t.signature = s.signature and t.retracted_at is null
        )
),

-- Once all of them are queued, the writer's lock is not taken.
news as (
    select
        array_agg(missing.signature) as signatures,
        array_agg(missing.slot) as slots
    from missing
    where not exists (
        select from raw.pending_signatures as w
        where w.signature = missing.signature and w.slot is not distinct from missing.slot
    )
)

select
    (select count(*) from missing) as missing,
    raw.request_signatures(news.signatures, 'walk', news.slots) as written
from news;

-- name: request_differing
-- Transactions that the log has at another slot or with another outcome than the chain lists: the finalized chain decides.
select raw.request_signatures(array_agg(s.signature), 'differs', array_agg(s.slot))
from seen as s
inner join raw.transactions as t on s.signature = t.signature
where
    s.commitment = %(commitment)s
    and (
        t.slot <> s.slot and t.retracted_at is null
        or (t.err is null) <> s.succeeded
        or t.retracted_at is not null and s.succeeded
    )
    and not exists (select from raw.pending_signatures as w where w.signature = s.signature and w.reason = 'differs');

-- name: awaiting_finality
-- The lowest slot above a slot that was walked, with a success of ours that is not final yet.
select min(t.slot)
from raw.transactions as t
where
    t.slot > greatest(coalesce(raw.finalized_through(), -1), %(walked)s::bigint)
    and t.slot <= %(walked)s::bigint + %(window)s
    and t.err is null and t.retracted_at is null;

-- name: first_missing_slot
-- The lowest slot with a transaction that the list has and the log does not contain. One that an operator accepted as missing does
-- not count, unless the log holds another version of it.
select min(s.slot)
from seen as s
where
    s.commitment = %(commitment)s and s.succeeded
    and not exists (
        select from raw.transactions as t
        where t.signature = s.signature and t.slot = s.slot and t.err is null and t.retracted_at is null
    )
    and not (
        exists (
            select from ops.gap_transactions as g
            where g.signature = s.signature and g.slot = s.slot and g.kind = 'unfetched' and g.closed_at is null
        )
        and not exists (select from raw.transactions as t where t.signature = s.signature)
    );

-- name: first_unlisted
-- The lowest slot above a floor with a success in the log that the list does not have. One that an operator accepted as unproven
-- does not count, unless the list has another version of it.
select min(t.slot)
from raw.transactions as t
where
    t.slot > %(floor)s and t.slot <= %(top)s and t.err is null and t.retracted_at is null
    and not exists (
        select from seen as s
        where s.commitment = %(commitment)s and s.signature = t.signature and s.slot = t.slot and s.succeeded
    )
    and not (
        exists (
            select from ops.gap_transactions as g
            where g.signature = t.signature and g.slot = t.slot and g.kind = 'unlisted' and g.closed_at is null
        )
        and not exists (select from seen as s where s.commitment = %(commitment)s and s.signature = t.signature)
    );

-- name: listed_successes
-- Count and digest of the chain's listed successes between two slots, both included, without those of open gaps.
select
    count(*),
    sha256(convert_to(coalesce(string_agg(s.signature, e'\n' order by s.signature collate "C"), ''), 'UTF8'))
from seen as s
where
    s.commitment = %(commitment)s and s.slot between %(from_slot)s and %(to_slot)s and s.succeeded
    and not exists (select from ops.gap_transactions as g where g.signature = s.signature and g.closed_at is null);

-- name: chunk_end
-- The slot at which a proof of manageable size ends, at most `to_slot`.
select coalesce(max(c.slot), %(to_slot)s)
from (
    select s.slot
    from seen as s
    where s.commitment = %(commitment)s and s.slot between %(from_slot)s and %(to_slot)s and s.succeeded
    order by s.slot
    limit 1 offset %(size)s
) as c;

-- name: note_suspects
-- Successes in the log that a finalized list does not have, with something listed before and after them.
insert into raw.retraction_candidates (signature, slot, missed_at_height)
select
    t.signature,
    t.slot,
    %(height)s
from raw.transactions as t
where
    t.slot > %(floor)s and t.slot <= %(top)s and t.err is null and t.retracted_at is null
    and not exists (select from seen as s where s.commitment = 'finalized' and s.signature = t.signature)
    and exists (select from seen as s where s.commitment = 'finalized' and s.slot > t.slot)
    and exists (select from seen as s where s.commitment = 'finalized' and s.slot < t.slot)
order by t.signature
on conflict (signature) do nothing;

-- name: clear_suspects
-- Candidates that are listed after all, or are no longer in the log.
-- Candidates that a retraction has locked are left to it.
delete from raw.retraction_candidates
where signature in (
    select p.signature
    from raw.retraction_candidates as p
    where
        exists (select from seen as s where s.commitment = 'finalized' and s.signature = p.signature)
        or not exists (select from raw.transactions as t where t.signature = p.signature and t.retracted_at is null)
    for update skip locked
);

-- name: retraction_candidates
-- Candidates missed again, between two listed slots, when none of their blockhashes can still be valid.
select
    p.signature,
    p.slot
from raw.retraction_candidates as p
where
    p.missed_at_height + %(blockhash_age)s < %(height)s and p.slot > %(floor)s and p.slot <= %(top)s
    and exists (select from seen as s where s.commitment = 'finalized' and s.slot > p.slot)
    and exists (select from seen as s where s.commitment = 'finalized' and s.slot < p.slot)
order by p.slot, p.signature
limit 256;

-- name: unlisted
-- Successes in the log that a finalized list does not have although they arrived some time ago; their number. Those of open gaps are
-- not named.
select
    t.signature,
    t.slot,
    count(*) over ()
from raw.transactions as t
where
    t.slot > %(floor)s and t.slot <= %(top)s and t.err is null and t.retracted_at is null
    and t.first_seen_at <= clock_timestamp() - make_interval(secs => %(seconds)s)
    and not exists (select from seen as s where s.commitment = 'finalized' and s.signature = t.signature)
    and not exists (select from ops.gap_transactions as g where g.signature = t.signature and g.closed_at is null)
order by t.slot, t.signature
limit %(limit)s;

-- name: slots_without_order
-- Slots whose transactions have no place in the block yet, the oldest first.
select distinct t.slot
from raw.transactions as t
where not t.order_settled and t.retracted_at is null and t.slot <= %(top)s and t.slot > %(after)s
order by t.slot
limit %(limit)s;

-- name: first_slot_without_order
-- The lowest slot whose successes have no place in the block yet, without those that no node can place.
select min(t.slot)
from raw.transactions as t
where
    not t.order_settled and t.retracted_at is null and t.err is null
    and t.slot <> all(%(forgotten)s::bigint []);

-- name: due_signatures
-- Signatures to fetch now, the oldest slot first; one that only a delivery named has no slot and goes first.
select
    signature,
    reason,
    attempts,
    coalesce(extract(epoch from clock_timestamp() - failing_since)::double precision, 0)
from raw.pending_signatures
where next_attempt_at <= clock_timestamp()
order by slot nulls first, requested_at
limit %(limit)s;

-- name: due_listed
-- Due signatures that the chain lists above a slot, the oldest slot first.
select
    signature,
    slot,
    reason
from raw.pending_signatures
where next_attempt_at <= clock_timestamp() and slot > %(after)s and reason <> 'differs'
order by slot, signature
limit %(limit)s;

-- name: count_stored
-- How many transactions the log has between two slots; at most `limit`.
select count(*)
from (
    select
    from raw.transactions
    where slot between %(from_slot)s and %(to_slot)s
    limit %(limit)s
) as t;

-- name: postpone
-- A fetch failed; each further attempt waits longer.
update raw.pending_signatures
set
    attempts = attempts + %(counted)s,
    last_error = %(error)s,
    last_error_kind = %(kind)s,
    failing_since = coalesce(failing_since, clock_timestamp()),
    next_attempt_at = clock_timestamp() + make_interval(secs => %(seconds)s)
where signature = %(signature)s;

-- name: failing
-- Signatures that could not be fetched for this long, with one kind of error or any, and that no open gap contains; their number.
select
    w.signature,
    w.slot,
    coalesce(w.last_error, ''),
    count(*) over ()
from raw.pending_signatures as w
where
    w.failing_since <= clock_timestamp() - make_interval(secs => %(seconds)s)
    and (%(kind)s::text is null or w.last_error_kind = %(kind)s)
    and not exists (select from ops.gap_transactions as g where g.signature = w.signature and g.closed_at is null)
order by w.slot nulls last, w.failing_since
limit %(limit)s;

-- name: delete_pending
-- Remove fetched signatures. Rows that an append has locked are left to it: waiting for them here, with other rows locked, was half
-- of a deadlock.
delete from raw.pending_signatures
where signature in (
    select w.signature
    from raw.pending_signatures as w
    where w.signature = any(%(signatures)s)
    for update skip locked
);

-- name: count_pending
-- How many signatures are still to be fetched.
select count(*) from raw.pending_signatures;

-- name: save_completeness
-- Record the walk's last result, for readers of the database.
insert into ops.cursors (name, value) values ('completeness', %(value)s)
on conflict (name) do update set value = excluded.value, moved_at = clock_timestamp();

-- name: identity
-- The chain and the program of this log, if known.
select
    genesis_hash,
    program_id
from raw.identity;

-- name: save_identity
-- Record the chain and the program of this log.
update raw.identity set genesis_hash = %(genesis_hash)s, program_id = %(program_id)s;

-- name: nearest_above
-- A transaction of the log just above a slot, to start a list there instead of at the newest slot.
select t.signature
from raw.transactions as t
where t.slot > %(slot)s and t.slot <= raw.finalized_through() and t.err is null and t.retracted_at is null
order by t.slot, t.signature
limit 1;

-- name: load_cursor
-- The stored place of a resumable task.
select value from ops.cursors where name = %(name)s;

-- name: save_cursor
-- Store the place of a resumable task.
insert into ops.cursors (name, value) values (%(name)s, %(value)s)
on conflict (name) do update set value = excluded.value, moved_at = clock_timestamp();

-- name: request_for_backfill
-- Queue the signatures of a page that the log does not contain; returns their number.
select raw.request_signatures(array_agg(given.signature), 'backfill', array_agg(given.slot))
from unnest(%(signatures)s::text [], %(slots)s::bigint []) as given (signature, slot)
where
    not exists (select from raw.transactions as t where t.signature = given.signature and t.retracted_at is null)
    and not exists (select from raw.pending_signatures as w where w.signature = given.signature);

-- name: count_pending_in_range
-- How many signatures between two slots are still to be fetched.
select count(*) from raw.pending_signatures where slot between %(from_slot)s and %(to_slot)s;

-- name: stored_range
-- Count and digest of the log's successes between two slots.
select
    count(*),
    sha256(convert_to(coalesce(string_agg(t.signature, e'\n' order by t.signature collate "C"), ''), 'UTF8'))
from raw.transactions as t
where t.slot between %(from_slot)s and %(to_slot)s and t.err is null and t.retracted_at is null;

-- name: open_dead_letters
-- Open dead letters, the newest first.
select
    d.dead_letter_no,
    d.reason_code,
    coalesce(d.signature, ''),
    d.sightings,
    d.last_seen_at,
    d.reason
from raw.dead_letters as d
where d.resolved_at is null
order by d.last_seen_at desc
limit %(limit)s;

-- name: dead_letter
-- One dead letter, with the stored body of its transaction if there is one.
select
    d.dead_letter_no,
    d.signature,
    d.ordinal,
    d.reason_code,
    d.reason,
    d.source,
    d.bytes,
    d.sightings,
    d.first_seen_at,
    d.last_seen_at,
    d.retried_at,
    d.resolved_at,
    coalesce(b.content, t.body) as body,
    coalesce(t.bundle_start, 0) as body_start,
    t.bundle_length as body_length
from raw.dead_letters as d
left join raw.transactions as t on d.signature = t.signature
left join raw.bundles as b on t.bundle_no = b.bundle_no
where d.dead_letter_no = %(number)s;

-- name: open_dead_letter_numbers
-- Every open dead letter.
select d.dead_letter_no from raw.dead_letters as d where d.resolved_at is null order by d.dead_letter_no;

-- name: mark_retried
-- Record a retry, which may have resolved it.
update raw.dead_letters
set retried_at = clock_timestamp(), resolved_at = case when %(is_resolved)s then clock_timestamp() end
where dead_letter_no = %(number)s;

-- name: request_fetch
-- Queue a signature for fetching now, for the given reason.
insert into raw.pending_signatures as w (signature, reason) values (%(signature)s, %(reason)s)
on conflict (signature) do update
set reason = excluded.reason, attempts = 0, failing_since = null, last_error_kind = null, next_attempt_at = clock_timestamp();
