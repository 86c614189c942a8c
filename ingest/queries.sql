-- name: plan_by_index
-- A batch is small and the log is large, but a temporary table has no statistics to say so: without this, admitting one
-- transaction reads all of them.
set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off; set random_page_cost = 1.1;

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
    delete from raw.wanted as w using inbox where w.signature = inbox.signature
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
