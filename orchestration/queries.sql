-- name: heads
-- The state of the log: last seq, newest arrival, newest event's clock and place on chain, seconds since both.
select
    f.seq,
    f.at,
    to_timestamp(e.clock) as event_at,
    e.order_key >> 24 as slot,
    extract(epoch from clock_timestamp() - f.at)::float as seconds_since_arrival,
    extract(epoch from clock_timestamp())::float - e.clock as seconds_since_event
from (select 1) as always
left join lateral (select seq, at from raw.feed order by seq desc limit 1) as f on true
left join lateral (select clock, order_key from raw.events order by order_key desc limit 1) as e on true;

-- name: tables
-- Rows (as the planner estimates them) and bytes with indexes of the log's tables.
select
    c.relname::text,
    greatest(c.reltuples, 0)::bigint,
    pg_total_relation_size(c.oid)
from pg_class as c
where c.relnamespace = 'raw'::regnamespace and c.relname = any(%(names)s);

-- name: finality
-- The last slot known to be final.
select max(ref) from raw.feed where kind = 'finalized_through';

-- name: transactions
-- Number of transactions by state: provisional order, retracted, still to be fetched.
select
    (select count(*) from raw.transactions where not order_settled),
    (select count(*) from raw.transactions where retracted_at is not null),
    (select count(*) from raw.pending_signatures);

-- name: dead_letters
-- Open dead letters by reason, with their number and the first time.
select
    reason_code,
    count(*),
    sum(sightings)::bigint,
    min(first_seen_at),
    max(last_seen_at),
    (array_agg(reason order by last_seen_at desc))[1],
    max(dead_letter_no)
from raw.dead_letters
where resolved_at is null
group by reason_code
order by 2 desc, 1;

-- name: coverage
-- Each source's proofs: slots, transactions, the gaps between its ranges, seconds since the last proof.
select
    c.source,
    lower(c.slots),
    upper(c.slots) - 1,
    c.successful_transactions::bigint,
    array(
        select lower(g.slots) || '-' || (upper(g.slots) - 1)
        from unnest(int8multirange(range_merge(c.slots)) - c.slots) as g (slots)
        order by g.slots
    ),
    extract(epoch from clock_timestamp() - c.proven_at)::float
from raw.covered_slots as c
order by c.source;

-- name: models
-- Every folded model and its state.
select name, is_stale, applied_seq, behind, stale_since, failed_event, coalesce(reason, '') from ops.model_status order by name;

-- name: scheduled
-- Every scheduled mart: the seq that it reflects, and the seconds that its refresh took.
select name, applied_seq, seconds from ops.scheduled_models order by name;

-- name: deployed_marts
-- Every mart that is there: folded and scheduled tables, and views.
select c.relname::text
from pg_class as c
where c.relnamespace = 'marts'::regnamespace and c.relkind in ('r', 'v', 'm', 'p')
order by 1;

-- name: scheduled_marts_are_current
-- Whether no scheduled mart can differ from the log. Entries that only say what is final change none of their rows.
select not exists (
    select from raw.feed as f
    where
        f.seq > (select coalesce(min(m.applied_seq), -1) from ops.scheduled_models as m)
        and f.kind <> 'finalized_through'
);

-- name: row_count
-- The number of rows of one mart.
select format('select count(*) from marts.%%I', %(name)s::text);

-- name: difference_sample
-- The statement that shows some rows in which a mart and its rebuild differ: key, live row, rebuilt row.
select format(
    $f$
    with rebuilt as materialized (%%s)
    select jsonb_build_array(%%s), to_jsonb(o), to_jsonb(n)
    from rebuilt as n
    full join (select %%s from marts.%%I) as o on %%s
    where n.%%I is null or o.%%I is null or %%s
    order by 1
    limit %%s
    $f$,
    folds.with_window(m.fold_sql, '(true)'),
    (select string_agg(format('coalesce(o.%%1$I, n.%%1$I)', c), ', ') from unnest(m.key_columns) as c),
    (select string_agg(quote_ident(c), ', ') from unnest(m.columns) as c),
    m.name, folds.join_sql(m.key_columns), m.key_columns[1], m.key_columns[1], folds.distinct_sql(m.columns), %(limit)s::int
)
from ops.models as m
where m.name = %(name)s;

-- name: pending_notifications
-- Alerts to post: new ones, critical ones that no operator has acknowledged, and posted ones that are resolved: those never
-- rejected first, the oldest of them before others, so that rejected ones cannot fill the limit. One that was rejected often
-- waits a while.
select alert_no, kind, subject, severity, message, occurrences, raised_at, last_at, acknowledged_at, acknowledged_by, resolved_at
from ops.alerts
where
    (
        (resolved_at is null and acknowledged_at is null and (
            posted_at is null
            or severity = 'critical' and posted_at < clock_timestamp() - make_interval(hours => %(remind_after_hours)s)
        ))
        or (resolved_at is not null and posted_at is not null and resolution_posted_at is null)
    )
    and (refusals < %(slow_after)s or refused_at < clock_timestamp() - make_interval(secs => %(slow_seconds)s))
order by refused_at nulls first, coalesce(resolved_at, raised_at), alert_no
limit 20;

-- name: mark_alert_posted
-- Record that an alert, or its resolution, was posted.
update ops.alerts set
    posted_at = case when %(is_over)s then posted_at else clock_timestamp() end,
    resolution_posted_at = case when %(is_over)s then clock_timestamp() end,
    refusals = 0, refused_at = null, refusal = null
where alert_no = %(alert_no)s;

-- name: alert_refused
-- Count that the chat rejected an alert.
update ops.alerts set refusals = refusals + 1, refused_at = clock_timestamp(), refusal = %(refusal)s
where alert_no = %(alert_no)s;

-- name: alerts_refused
-- Alerts that still have to be posted and were rejected several times in a row, the oldest first, without the alert about them.
select alert_no, kind, refusals, refusal
from ops.alerts
where
    refusals >= %(least)s and kind <> %(about)s
    and (
        (resolved_at is null and acknowledged_at is null)
        or (resolved_at is not null and posted_at is not null and resolution_posted_at is null)
    )
order by alert_no;

-- name: slots_held
-- The first slot of a transaction in the log, and the last final one.
select
    (select min(slot) from raw.transactions) as first_slot,
    raw.finalized_through() as final_slot;

-- name: markets_known
-- Every market of the log, by its account.
select * from marts.markets;

-- name: ballots_by_account
-- Every ballot, by its market's account.
select m.account, b.user_wallet, b.kind, b.vote, b.source
from marts.ballots as b inner join raw.markets_seen as m on b.market_no = m.market_no;

-- name: log_identity
-- The chain and the program of the log: genesis hash and address.
select genesis_hash, program_id from raw.identity;

-- name: insert_account
-- Store an account as a node returned it at a slot.
insert into raw.accounts (account, slot, kind, lamports, data)
values (%(account)s, %(slot)s, %(kind)s, %(lamports)s, %(data)s)
on conflict (account, slot) do nothing;

-- name: delete_old_accounts
-- Delete the reads before the previous one.
delete from raw.accounts
where slot < (select max(a.slot) from raw.accounts as a where a.slot < %(slot)s);

-- name: save_uncompared
-- Store the markets that a check did not compare; those that it compared are removed.
with kept as (
    insert into ops.uncompared_accounts (account, reason)
    select n.account, n.reason from unnest(%(accounts)s::text[], %(reasons)s::text[]) as n (account, reason)
    on conflict (account) do update set reason = excluded.reason
)
delete from ops.uncompared_accounts as u where not u.account = any(%(accounts)s::text[]);

-- name: long_uncompared
-- Markets that no check has compared for this many hours, the longest first.
select u.account, u.reason from ops.uncompared_accounts as u
where u.since <= clock_timestamp() - make_interval(hours => %(hours)s)
order by u.since, u.account;

-- name: latest_account_read
-- The slot of the newest read, its age in seconds, and whether the log contains everything final up to it.
select
    a.slot,
    extract(epoch from clock_timestamp() - max(a.read_at))::float,
    coalesce(raw.finalized_through() >= a.slot, false)
from raw.accounts as a
group by a.slot
order by a.slot desc
limit 1;

-- name: accounts_at
-- The accounts of one read that could be decoded.
select account, lamports, data from raw.accounts where slot = %(slot)s and kind <> 'unknown';

-- name: unknown_accounts
-- The accounts of one read that could not be decoded, with their first bytes.
select account, 'begins with ' || coalesce(nullif(encode(substr(data, 1, 8), 'hex'), ''), 'nothing')
from raw.accounts
where slot = %(slot)s and kind = 'unknown'
order by account;

-- name: changed_since
-- The accounts and numbers of markets with an event after a slot, or with a retraction or a late order
-- after it; a null is the configuration.
select distinct m.account, m.market_no
from raw.events as e left join raw.markets_seen as m on e.market_no = m.market_no
where e.order_key >= (%(slot)s::bigint + 1) << 24;

-- name: slots_after
-- The slots after a slot, up to another, with an event of a market, or (null) of the configuration.
select distinct e.order_key >> 24 as slot
from raw.events as e
where
    e.order_key >= (%(slot)s::bigint + 1) << 24 and e.order_key < (%(until)s::bigint + 1) << 24
    and e.market_no is not distinct from %(market_no)s::int and e.retracted_at is null
order by slot;

-- name: has_provisional_order
-- Whether the order of a market's transactions up to a slot is provisional anywhere.
select exists(
    select from raw.transactions as t inner join raw.events as e on t.transaction_no = e.transaction_no
    where
        not t.order_settled and t.retracted_at is null and t.slot <= %(until)s
        and e.market_no is not distinct from %(market_no)s::int
);

-- name: markets_as_of
-- A market as of a slot.
select * from marts.markets_as_of(%(slot)s, %(market_no)s);

-- name: positions_as_of
-- A market's positions as of a slot.
select * from marts.positions_as_of(%(slot)s, %(market_no)s);

-- name: ballots_as_of
-- A market's ballots as of a slot.
select m.account, b.user_wallet, b.kind, b.vote, b.source
from marts.ballots_as_of(%(slot)s, %(market_no)s) as b inner join raw.markets_seen as m on b.market_no = m.market_no;

-- name: configuration_as_of
-- The configuration's events up to a slot, in order; all of them if that is null.
select * from marts.protocol_config
where order_key < (coalesce(%(slot)s::bigint, 549755813886) + 1) << 24
order by order_key;

-- name: next_export_range
-- The end of the next range of entries to export: as many whole appends as fit, once they are full or old enough.
select
    case
        when h.head >= %(after)s + %(size)s
            then coalesce(
                (select max(c.last_seq) from raw.commits as c where c.last_seq > %(after)s and c.last_seq <= %(after)s + %(size)s),
                (select min(c.last_seq) from raw.commits as c where c.last_seq > %(after)s)
            )
        when f.at < clock_timestamp() - make_interval(secs => %(seconds)s) then h.head
    end
from (select coalesce(max(c.last_seq), 0) as head from raw.commits as c) as h
inner join raw.feed as f on f.seq = %(after)s + 1
where h.head > %(after)s;

-- name: delete_expired_sessions
-- Deletes at most %(limit)s sessions that expired more than an hour ago; returns their number. As the owner: its row
-- level policies let it see and delete no others.
with deleted as (
    delete from app.sessions
    where session_id in (
        select session_id
        from app.sessions
        where expires_at < clock_timestamp() - interval '1 hour'
        limit %(limit)s
    )
    returning 1
)

select count(*) from deleted;

-- name: delete_expired_nonces
-- The same for nonces that were used.
with deleted as (
    delete from app.redeemed_nonces
    where nonce in (
        select nonce
        from app.redeemed_nonces
        where expires_at < clock_timestamp() - interval '1 hour'
        limit %(limit)s
    )
    returning 1
)

select count(*) from deleted;

-- name: bodies
-- Bundles of delivered bodies (as the planner estimates them) and their bytes with the index.
select
    greatest(c.reltuples, 0)::bigint,
    pg_total_relation_size(c.oid)
from pg_class as c
where c.oid = 'raw.bundles'::regclass;
