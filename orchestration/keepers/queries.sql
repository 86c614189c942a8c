-- name: log_facts
-- The log's own facts: chain, program, deployed voting window, proven slots, models that do not follow, our clock.
select
    i.genesis_hash,
    i.program_id,
    (select s.value from ops.settings as s where s.name = 'dispute_voting_window_seconds'),
    raw.verified_through(),
    raw.finalized_through(),
    array(select m.name from ops.models as m where m.applied_seq is not null and m.name in ('markets', 'ballots') order by 1),
    extract(epoch from clock_timestamp())::float
from raw.identity as i;

-- name: observe_epoch
-- Compare the log's epoch and the server's timeline with those of the last round. If one is another, remember the chain's slot;
-- the first log that keepers meet has none. Intents are not in the log, so the same epoch does
-- not prove that none of them was lost.
-- `zmart restore` leaves a row without an epoch, a former release one without a timeline.
insert into ops.cursors as c (name, value)
select
    'keeper_epoch',
    jsonb_build_object('epoch', i.epoch, 'timeline', raw.timeline(), 'slot', null)
from raw.identity as i
on conflict (name) do update
set
    value = excluded.value || jsonb_build_object(
        'slot',
        case
            when c.value -> 'epoch' = excluded.value -> 'epoch' and not c.value ? 'timeline' then c.value -> 'slot'
            else to_jsonb(%(slot)s::bigint)
        end
    ),
    moved_at = clock_timestamp()
where c.value - 'slot' is distinct from excluded.value - 'slot';

-- name: restored_at_slot
-- The chain's slot when keepers first met this epoch; null in the first one.
select (c.value ->> 'slot')::bigint
from ops.cursors as c
where c.name = 'keeper_epoch';

-- name: markets
-- Every known market in a state, with the columns that decisions read, its open intent, the time of the last submission, and the open
-- gap that concerns it.
select
    m.market_no,
    m.id,
    m.on_chain_address,
    m.state_code,
    m.proposed_outcome,
    m.was_disputed,
    greatest(m.state_key, m.proposal_key, m.resolution_key, m.initiation_key, m.dispute_key) >> 24,
    extract(epoch from m.created_at)::bigint,
    coalesce(extract(epoch from m.resolution_proposed_at)::bigint, 0),
    coalesce(extract(epoch from m.dispute_initiated_at)::bigint, 0),
    m.proposal_likes,
    m.proposal_dislikes,
    o.intent_no,
    o.state,
    extract(epoch from l.stored_at)::float,
    ops.gap_of_market(m.market_no)
from marts.markets as m
left join ops.intents as o
    on m.market_no = o.market_no and o.action = %(action)s
    and o.state in ('planned', 'sent', 'landed', 'reopened', 'quarantined')
left join (
    select i.market_no, max(s.stored_at) as stored_at
    from ops.submissions as s
    inner join ops.intents as i on s.intent_no = i.intent_no
    where i.action = %(action)s and s.stored_at > clock_timestamp() - interval '1 day' and s.ending is distinct from 'expired'
    group by i.market_no
) as l on m.market_no = l.market_no
where m.is_known and m.state_code = %(state)s
order by m.market_no;

-- name: tallies
-- Ballots that count in every market of a state, by class: before a proven instant, and in the voting window. An API ballot's
-- wallet is known by a finalized event before the vote opened: an event after that would make ballots count that were free.
with cast_ballots as materialized (
    select
        b.market_no, b.wallet_no, b.vote, b.source,
        case b.kind when 'dispute' then m.initiation_key else m.created_key end as opening_key
    from marts.markets as m
    inner join marts.ballots as b on m.market_no = b.market_no
    where
        m.is_known and m.state_code = %(state)s and b.kind = %(kind)s and b.cast_at < to_timestamp(%(before)s)
        and (
            b.kind = 'proposal'
            or b.cast_at < m.dispute_initiated_at + make_interval(secs => %(window)s)
        )
),
first_seen as materialized (
    select w.wallet_no, f.first_key
    from (select distinct c.wallet_no from cast_ballots as c where c.source = 'api') as w
    cross join lateral (
        select min(e.order_key) as first_key from raw.events as e
        where
            e.wallet_no = w.wallet_no and e.retracted_at is null
            and not exists (
                select from ops.gap_transactions as g
                inner join raw.transactions as t on g.signature = t.signature
                where t.transaction_no = e.transaction_no and g.closed_at is null
            )
    ) as f
    where f.first_key < (raw.finalized_through() + 1) << 24
)
select
    c.market_no,
    count(*) filter (where c.vote and c.source = 'chain'),
    count(*) filter (where not c.vote and c.source = 'chain'),
    count(*) filter (where c.vote and c.source = 'api' and f.wallet_no is not null),
    count(*) filter (where not c.vote and c.source = 'api' and f.wallet_no is not null),
    count(*) filter (where c.vote and c.source = 'api' and f.wallet_no is null),
    count(*) filter (where not c.vote and c.source = 'api' and f.wallet_no is null)
from cast_ballots as c
left join first_seen as f on c.wallet_no = f.wallet_no and f.first_key < c.opening_key
group by c.market_no;

-- name: ballots
-- On-chain votes of a market before an instant as the log has them, and the digest of all ballots that count.
select
    (
        select count(*) filter (where (e.payload ->> 'vote')::boolean) from raw.events as e
        where e.market_no = %(market_no)s and e.name = %(event)s and e.retracted_at is null and e.clock < %(before)s
    ),
    (
        select count(*) filter (where not (e.payload ->> 'vote')::boolean) from raw.events as e
        where e.market_no = %(market_no)s and e.name = %(event)s and e.retracted_at is null and e.clock < %(before)s
    ),
    (
        select encode(sha256(convert_to(coalesce(string_agg(
            format('%%s %%s %%s', b.user_wallet, b.vote, b.source), e'\n' order by b.wallet_no
        ), ''), 'UTF8')), 'hex')
        from marts.ballots as b
        where b.market_no = %(market_no)s and b.kind = %(kind)s and b.cast_at < to_timestamp(%(closing)s)
    );

-- name: acquire_lease
-- Take the lease; returns its epoch, or null if another process has it.
select ops.acquire_lease(%(name)s, %(holder)s, %(seconds)s);

-- name: renew_lease
-- Renew the lease; returns whether this process still has it.
select ops.renew_lease(%(name)s, %(epoch)s, %(seconds)s);

-- name: release_lease
-- Release the lease.
select ops.release_lease(%(name)s, %(epoch)s);

-- name: lease_holder
-- The holder of the lease, and the seconds left.
select holder, extract(epoch from expires_at - clock_timestamp())::float from ops.leases where name = %(name)s;

-- name: open_intent
-- Create the intent for an action of a market; null while another is open.
select ops.open_intent(%(lease)s, %(epoch)s, %(market_no)s, %(action)s, %(arguments)s, %(plan)s);

-- name: store_submission
-- Store signed bytes before they are sent.
select ops.store_submission(
    %(lease)s, %(epoch)s, %(intent_no)s, %(signature)s, %(bytes)s, %(last_valid_block_height)s, %(payer)s,
    %(fee_lamports)s, %(units)s, %(budget_lamports)s
);

-- name: drop_planned
-- Cancel intents of an action that were decided, never signed, and are not in the current plan.
update ops.intents as i
set state = 'refused', closed_at = clock_timestamp(),
    outcome = jsonb_build_object('meaning', 'moved', 'kind', 'NotDueAnyMore', 'words', 'Not due any more.', 'before', outcome)
where
    i.action = %(action)s and i.state = 'planned' and i.plan ->> 'task' = %(task)s
    and i.market_no <> all(%(due)s)
returning i.intent_no;

-- name: mark_sent
-- Record the first time that the bytes were sent.
update ops.submissions set sent_at = coalesce(sent_at, clock_timestamp()) where signature = any(%(signatures)s);

-- name: record_outcome
-- Record the last reason why a submission could not be closed.
update ops.submissions set outcome = %(outcome)s where signature = %(signature)s and ending is null;

-- name: mark_landed
-- Record that a node reports these as landed; no submission is closed by it.
with landed as (
    update ops.submissions as s
    set slot = n.slot, sent_at = coalesce(s.sent_at, clock_timestamp())
    from unnest(%(signatures)s::text [], %(slots)s::bigint []) as n (signature, slot)
    where s.signature = n.signature and s.ending is null
    returning s.intent_no
)
update ops.intents as i set state = 'landed'
from landed where i.intent_no = landed.intent_no and i.state in ('sent', 'reopened');

-- name: open_submissions
-- Submissions that are not closed, and whether the log contains them, as final or not.
select
    s.signature,
    s.intent_no,
    i.market_no,
    m.market_id,
    i.action,
    i.plan ->> 'task',
    i.state,
    s.transaction_bytes,
    s.last_valid_block_height,
    t.transaction_no is not null,
    coalesce(raw.is_final(t.signature, t.slot), false),
    extract(epoch from clock_timestamp() - s.stored_at)::float
from ops.submissions as s
inner join ops.intents as i on s.intent_no = i.intent_no
inner join raw.markets_seen as m on i.market_no = m.market_no
left join raw.transactions as t on s.signature = t.signature and t.retracted_at is null and t.err is null
where s.ending is null
order by s.stored_at;

-- name: count_open_submissions
-- The number of open submissions, and of done ones whose transaction the chain has dropped.
select
    (select count(*) from ops.submissions where ending is null),
    (
        select count(*) from ops.intents as i
        inner join ops.submissions as s on i.intent_no = s.intent_no and s.ending = 'landed'
        inner join raw.transactions as t on s.signature = t.signature
        where i.state = 'done' and t.retracted_at is not null
    );

-- name: reopen_retracted
-- Reopen intents that were done by transactions which are proven absent from the chain.
select * from ops.reopen_retracted();

-- name: close_done
-- Close every submission whose event is finalized in the log; returns the intents that are done, with their event.
with held as (
    select s.signature, s.intent_no, t.slot, e.payload
    from ops.submissions as s
    inner join ops.intents as i on s.intent_no = i.intent_no
    inner join raw.transactions as t
        on s.signature = t.signature and t.retracted_at is null and t.err is null and raw.is_final(t.signature, t.slot)
    inner join raw.events as e
        on t.transaction_no = e.transaction_no and i.market_no = e.market_no and e.retracted_at is null
        and e.name = %(events)s::jsonb ->> i.action
    where s.ending is null
),
ended as (
    update ops.submissions as s
    set ending = 'landed', ended_at = clock_timestamp(), slot = held.slot, outcome = null
    from held where s.signature = held.signature
)
update ops.intents as i
set state = 'done', closed_at = clock_timestamp(),
    outcome = jsonb_build_object('kind', 'done', 'signature', held.signature, 'slot', held.slot, 'event', held.payload)
from held, raw.markets_seen as m
where i.intent_no = held.intent_no and i.market_no = m.market_no
returning i.intent_no, m.market_id, i.plan ->> 'task', held.payload, i.plan -> 'expected_outcome';

-- name: mark_expired
-- Close a submission that can never land; its intent may be signed again, or waits for an operator after several attempts.
with expired as (
    update ops.submissions
    set ending = 'expired', ended_at = clock_timestamp()
    where signature = %(signature)s and ending is null
    returning intent_no
)
update ops.intents as i
set
    attempts = attempts + 1,
    state = case when attempts + 1 >= %(most)s then 'quarantined' else 'planned' end,
    outcome = %(outcome)s
from expired where i.intent_no = expired.intent_no
returning i.state;

-- name: mark_failed
-- Close a submission that was finally rejected on chain.
with failed as (
    update ops.submissions
    set ending = 'failed', ended_at = clock_timestamp(), slot = %(slot)s, outcome = %(outcome)s
    where signature = %(signature)s and ending is null
    returning intent_no
)
update ops.intents as i
set
    attempts = attempts + 1,
    state = case
        when %(is_over)s then 'refused'
        when attempts + 1 >= %(most)s then 'quarantined'
        else 'planned'
    end,
    closed_at = case when %(is_over)s then clock_timestamp() end,
    outcome = %(outcome)s
from failed where i.intent_no = failed.intent_no
returning i.state;

-- name: release_intent
-- Release a quarantined intent that an operator has inspected, and record who did.
with released as materialized (
    select ops.release_intent(%(intent_no)s, %(who)s) as is_released
)
select
    is_released,
    case
        when is_released
            then ops.record_audit(%(who)s, 'keeper release', %(intent_no)s::bigint::text, %(reason)s, '{}')
    end
from released;

-- name: record_audit
-- Record a decision of an operator, before it takes effect.
select ops.record_audit(%(who)s, %(action)s, %(subject)s, %(reason)s, %(details)s);

-- name: audited_decisions
-- Decisions of operators, the newest first.
select audit_no, at, who, login, action, subject, reason, details
from ops.audit
order by audit_no desc
limit %(limit)s;

-- name: intents
-- Intents, the newest first, with market, number of attempts and last submission.
select
    i.intent_no, m.market_id, i.plan ->> 'task', i.state, i.attempts, i.created_at, i.closed_at,
    i.outcome ->> 'words', s.signature, s.ending
from ops.intents as i
inner join raw.markets_seen as m on i.market_no = m.market_no
left join lateral (
    select x.signature, x.ending from ops.submissions as x where x.intent_no = i.intent_no order by x.stored_at desc limit 1
) as s on true
where not %(is_open)s or i.state not in ('done', 'refused')
order by i.intent_no desc
limit %(limit)s;

-- name: spent_today
-- Lamports of the day (UTC): fees of submissions that landed or may.
select coalesce(sum(fee_lamports), 0)::bigint
from ops.submissions
where
    stored_at >= date_trunc('day', clock_timestamp() at time zone 'UTC') at time zone 'UTC'
    and ending is distinct from 'expired';

-- name: resolve_others
-- Resolve a task's alerts of a kind whose subjects are not among these any more.
select ops.resolve_alert(a.kind, a.subject)
from ops.alerts as a
where
    a.kind = %(kind)s and a.resolved_at is null and starts_with(a.subject, %(task)s || ' ')
    and a.subject <> all(%(subjects)s);

-- name: overdue_markets
-- Markets without an expected step for a day, by the newest event's clock.
with now as (select to_timestamp(max(e.clock)) as at from (select clock from raw.events order by order_key desc limit 1) as e)
select m.id, m.state, 'RESOLVING for a day longer than the dispute period; see the plan of market_finalizations.'
from marts.markets as m
cross join now
where
    m.is_known and m.state_code = 3
    and m.resolution_proposed_at + make_interval(secs => %(dispute_period)s) + interval '1 day' < now.at
union all
select m.id, m.state, 'DISPUTED for a day longer than the voting window; see the plan of dispute_settlements.'
from marts.markets as m
cross join now
where
    m.is_known and m.state_code = 4
    and m.dispute_initiated_at + make_interval(secs => %(window)s) + interval '1 day' < now.at
union all
select
    w.market_id, w.state,
    case w.state
        when 'PROPOSED' then 'PROPOSED with enough votes for a day; see the plan of ' || w.keeper || '.'
        else 'APPROVED for a day and not active; see the plan of market_activations.'
    end
from ops.waiting_markets(%(min_votes)s, %(threshold_bps)s, %(window)s) as w
cross join now
where w.state in ('PROPOSED', 'APPROVED') and w.due_at + interval '1 day' < now.at;

-- name: record_round
-- The last round of a keeper. One that did not come to its end does not move worked_at.
insert into ops.keeper_rounds (keeper, is_dry, worked_at, outcome, due, sent, message, seconds)
values (
    %(keeper)s, %(is_dry)s, case when %(outcome)s = 'worked' then clock_timestamp() end,
    %(outcome)s, %(due)s, %(sent)s, %(message)s, %(seconds)s
)
on conflict (keeper, is_dry) do update set
    ran_at = clock_timestamp(), worked_at = coalesce(excluded.worked_at, ops.keeper_rounds.worked_at),
    outcome = excluded.outcome, due = excluded.due, sent = excluded.sent, message = excluded.message,
    seconds = excluded.seconds;

-- name: withdrawn_pools
-- Final markets whose creator withdrew the pool while holders had winnings to claim.
select m.id, count(*)
from marts.markets as m
inner join marts.positions as p on m.market_no = p.market_no
where
    m.is_known and m.state_code = 5 and m.liquidity_withdrawn_at is not null and not p.has_claimed
    and (
        m.final_outcome is null and p.total_invested > 0
        or m.final_outcome and p.shares_yes > 0
        or not m.final_outcome and p.shares_no > 0
    )
group by m.id;

-- name: dispute_period
-- The current dispute period, by the log.
select c.dispute_period from marts.protocol_config as c
where c.dispute_period is not null order by c.order_key desc limit 1;
