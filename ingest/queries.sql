-- name: prepare_session
-- A commit that is acknowledged is on disk, whatever the database's default.
-- A batch is small and the log is large, but a temporary table has no statistics to say so: without this, admitting one
-- transaction reads all of them.
set synchronous_commit = on; set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off; set random_page_cost = 1.1;

-- name: create_inbox
-- Where a batch waits before the writer's lock is taken; private to the connection.
create temporary table if not exists inbox (
    position int not null,
    signature text collate "C" not null,
    slot bigint not null,
    index_in_block int,
    block_time timestamptz,
    err text,
    fee_lamports numeric(20, 0),
    body bytea not null,
    digest bytea not null,
    sightings int not null
) on commit delete rows;

-- name: fill_inbox
-- The payloads travel before the lock is taken.
copy inbox (
    position, signature, slot, index_in_block, block_time, err, fee_lamports, body, digest, sightings
) from stdin;

-- name: take_writer
-- Wait for the right to append; everything after it is in the order of commits.
lock table raw.writer in exclusive mode;

-- name: set_aside
-- A delivery for slots that are final already must come from the chain: what is new there is fetched instead.
delete from inbox
where
    inbox.slot <= (select raw.finalized_through())
    and not exists (select from raw.transactions as t where t.signature = inbox.signature)
returning inbox.signature;

-- name: admit
-- Store what is new, reopen what was retracted and landed again, count what is known; one row per inbox row, with what became of it.
with known as (
    select
        inbox.position,
        inbox.sightings,
        stored.transaction_no,
        stored.retracted_at is not null as is_reopened,
        stored.digest = inbox.digest as is_same
    from inbox
    inner join raw.transactions as stored on inbox.signature = stored.signature
),

counted as (
    update raw.transactions as t
    set
        sightings = jsonb_set(
            t.sightings, array[%(source)s],
            to_jsonb(coalesce((t.sightings ->> %(source)s)::int, 0) + known.sightings)
        ),
        retracted_at = case when known.is_same then null else t.retracted_at end
    from known
    where t.transaction_no = known.transaction_no
),

stored as (
    insert into raw.transactions (
        transaction_no, signature, slot, index_in_block, order_settled, block_time, err, fee_lamports, body, digest,
        sightings
    )
    select
        (select coalesce(max(transaction_no), 0) from raw.transactions)
        + row_number() over (order by inbox.position),
        inbox.signature,
        inbox.slot,
        inbox.index_in_block,
        inbox.index_in_block is not null,
        inbox.block_time,
        inbox.err,
        inbox.fee_lamports,
        inbox.body,
        inbox.digest,
        jsonb_build_object(%(source)s, inbox.sightings)
    from inbox
    where inbox.position not in (select known.position from known)
    order by inbox.position
    returning transaction_no, signature
),

fetched as (
    delete from raw.wanted as w using inbox where w.signature = inbox.signature and w.reason <> 'differs'
)

select
    inbox.position,
    stored.transaction_no,
    'new' as became
from stored
inner join inbox on stored.signature = inbox.signature
union all
select
    known.position,
    known.transaction_no,
    case when not known.is_same then 'differs' when known.is_reopened then 'reopened' else 'duplicate' end as became
from known;

-- name: head
-- The last seq handed out.
select coalesce(max(seq), 0) from raw.feed;

-- name: known_markets
-- Numbers of these market accounts, and whether their market_id is known.
select
    account,
    market_no,
    market_id is not null
from raw.markets_seen
where account = any(%(accounts)s);

-- name: number_markets
-- Hand out numbers to market accounts never named before.
insert into raw.markets_seen (market_no, account, market_id)
select
    (select coalesce(max(market_no), 0) from raw.markets_seen) + row_number() over (order by given.position),
    given.account,
    given.market_id
from unnest(%(accounts)s::text [], %(ids)s::text []) with ordinality as given (account, market_id, position)
returning account, market_no;

-- name: identify_market
-- The market_id of an account that so far only claims had named.
update raw.markets_seen set market_id = %(market_id)s
where account = %(account)s and market_id is null
returning market_no;

-- name: move_events_of_market
-- Its earlier events now say more than they did: their rows are folded again.
insert into raw.feed (seq, kind, ref, market_no, wallet_no)
select
    (select coalesce(max(seq), 0) from raw.feed) + row_number() over (order by e.seq),
    'moved',
    e.seq,
    e.market_no,
    e.wallet_no
from raw.events as e
where e.market_no = %(market_no)s and e.retracted_at is null;

-- name: known_wallets
-- Numbers of these wallets.
select
    wallet,
    wallet_no
from raw.wallets_seen
where wallet = any(%(wallets)s);

-- name: number_wallets
-- Hand out numbers to wallets never named before.
insert into raw.wallets_seen (wallet_no, wallet)
select
    (select coalesce(max(wallet_no), 0) from raw.wallets_seen) + row_number() over (order by given.position),
    given.wallet
from unnest(%(wallets)s::text []) with ordinality as given (wallet, position)
returning wallet, wallet_no;

-- name: copy_events
-- The events of a batch, each with its place in the feed.
copy raw.events (
    seq, order_key, transaction_no, ordinal, name, market_no, wallet_no, clock, signature, payload, context
) from stdin;

-- name: announce_events
-- Every event is a fact of the feed under the same seq.
insert into raw.feed (seq, kind, market_no, wallet_no)
select
    seq,
    'event',
    market_no,
    wallet_no
from raw.events
where seq > %(after)s;

-- name: fold
-- Bring every folded mart up to the head, in this transaction.
select folds.fold(%(from)s, %(to)s);

-- name: ring
-- The doorbell: one per transaction, without data.
notify zmart_feed;

-- name: bury
-- Keep what could not be used, once per (signature, ordinal, reason, bytes).
insert into raw.dead_letters as d (signature, ordinal, reason_code, reason, source, bytes, digest)
values (%(signature)s, %(ordinal)s, %(reason_code)s, %(reason)s, %(source)s, %(bytes)s, %(digest)s)
on conflict (signature, ordinal, reason_code, digest) do update
set sightings = d.sightings + 1, last_seen_at = clock_timestamp();

-- name: want
-- Signatures we were told of without their logs.
insert into raw.wanted (signature, reason)
select
    given.signature,
    %(reason)s
from unnest(%(signatures)s::text []) as given (signature)
where not exists (select 1 from raw.transactions as t where t.signature = given.signature)
on conflict (signature) do nothing;

-- name: epoch
-- Which log this is.
select epoch::text from raw.identity;

-- name: doubt
-- The finalized chain decides which of two versions of a transaction is true.
insert into raw.wanted as w (signature, reason)
select
    given.signature,
    'differs'
from unnest(%(signatures)s::text []) as given (signature)
on conflict (signature) do update
set reason = 'differs', attempts = 0, next_attempt_at = clock_timestamp();

-- name: end_doubt
-- The alert about a disagreement is history once the chain decided.
select ops.resolve_alert('dead_letter_differs', %(signature)s);

-- name: alert
-- What a person should look at.
select ops.raise_alert(%(kind)s, %(subject)s, %(severity)s, %(message)s);

-- name: stored_version
-- A transaction as it is stored.
select
    transaction_no,
    digest,
    body,
    retracted_at is not null
from raw.transactions
where signature = %(signature)s;

-- name: decided
-- The chain has spoken: the question is closed, and so are the dead letters that asked it.
with answered as (
    delete from raw.wanted where signature = %(signature)s
)

update raw.dead_letters set resolved_at = clock_timestamp()
where signature = %(signature)s and reason_code = 'differs' and resolved_at is null;

-- name: retract
-- Take transactions and their events out of the fold, and say so; history keeps them.
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
    delete from raw.suspects where signature = any(%(signatures)s)
)

insert into raw.feed (seq, kind, ref, market_no, wallet_no)
select
    (select coalesce(max(f.seq), 0) from raw.feed as f) + row_number() over (order by marked.seq),
    'retracted',
    marked.seq,
    marked.market_no,
    marked.wallet_no
from marked;

-- name: replace_transaction
-- Another version of a transaction takes the place of the stored one.
update raw.transactions
set
    slot = %(slot)s,
    index_in_block = %(index_in_block)s,
    order_settled = %(index_in_block)s::int is not null,
    block_time = to_timestamp(%(block_time)s),
    err = %(err)s,
    fee_lamports = %(fee_lamports)s,
    body = %(body)s,
    digest = %(digest)s,
    retracted_at = null
where transaction_no = %(transaction_no)s;

-- name: settle_order
-- Give transactions of a slot their index in the block; what that moves is up to `separate`.
with said as (
    select *
    from unnest(%(signatures)s::text [], %(indexes)s::int []) as given (signature, index_in_block)
)

update raw.transactions as t set index_in_block = said.index_in_block, order_settled = true
from said
where t.signature = said.signature and t.slot = %(slot)s and not t.order_settled;

-- name: colliding
-- Slots in which an event after this seq has no place of its own.
select raw.colliding(%(after)s);

-- name: slots_of
-- Where these transactions stand.
select array_agg(distinct t.slot) from raw.transactions as t where t.signature = any(%(signatures)s);

-- name: separate
-- Give every transaction of these slots a place of its own, and say what moved.
select raw.separate(%(slots)s);

-- name: own_successes
-- Count and digest of what we hold as successful between two slots, both included.
select
    count(*),
    sha256(convert_to(coalesce(string_agg(t.signature, e'\n' order by t.signature collate "C"), ''), 'UTF8'))
from raw.transactions as t
where t.slot between %(from_slot)s and %(to_slot)s and t.err is null and t.retracted_at is null;

-- name: cover
-- Write down a proof; one of nothing after one of nothing makes that longer.
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

-- name: announce_finality
-- The watermark moves on, and never back.
insert into raw.feed (seq, kind, ref)
select
    (select coalesce(max(f.seq), 0) from raw.feed as f) + 1,
    'finalized_through',
    %(slot)s
where %(slot)s > coalesce(raw.finalized_through(), -1);
