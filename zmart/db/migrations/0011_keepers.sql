-- Keepers: what makes a second send impossible, held by the database rather than by care.
--
--     intents_open        one open intent for a market and an action, whoever plans it
--     submissions_open    one submission of an intent that may still land; another is signed only when that one ended
--     ops.open_intent, ops.store_submission
--                         take the lease's row first: who lost the lease plans and stores nothing, and the day's budget
--                         is counted by one at a time

drop index ops.intents_open;
-- What a person has to look at stays closed to keepers until it is released.
create unique index intents_open on ops.intents (market_no, action)
where state in ('planned', 'sent', 'landed', 'reopened', 'quarantined');
create index intents_market on ops.intents (market_no, action, intent_no desc);
create index intents_unclosed on ops.intents (intent_no) where state in ('planned', 'sent', 'landed', 'reopened');

comment on column ops.intents.state is
'planned: decided, nothing signed that could land. sent: signed bytes are stored and may land. landed: a node says so; our log does not yet, or not finally. done: our log holds the event, finalized. refused: given up for a reason. quarantined: three attempts failed, a person looks. reopened: it was done and the chain took it back.';
comment on column ops.intents.attempts is 'Submissions that ended without success.';
comment on column ops.intents.plan is 'What was known and proven when it was decided.';
comment on column ops.intents.outcome is 'How it ended, or what last kept it from ending: kind, words, signature.';

alter table ops.submissions
add column fee_lamports bigint not null default 0 check (fee_lamports >= 0),
add column payer text collate "C" not null default '',
add column lease_epoch bigint not null default 0,
add column units int not null default 0,
add column slot bigint,
add column outcome jsonb;
-- While signed bytes may still land there are no others: the second send is refused here, after all else has failed.
create unique index submissions_open on ops.submissions (intent_no) where ending is null;
create index submissions_stored on ops.submissions (stored_at);
comment on column ops.submissions.fee_lamports is 'What landing costs its payer, priority included.';
comment on column ops.submissions.ending is
'landed: succeeded on chain. failed: on chain, finalized, and refused there. expired: can never land. Null: may still land.';
comment on column ops.submissions.slot is 'Where a node said that it landed.';

create function ops.take_lease(p_name text, p_holder text, p_seconds double precision) returns bigint
language sql volatile set search_path = pg_catalog, pg_temp
begin atomic
    insert into ops.leases as l (name, holder, expires_at)
    values (p_name, p_holder, clock_timestamp() + make_interval(secs => p_seconds))
    on conflict (name) do update
    set holder = excluded.holder, epoch = l.epoch + 1, expires_at = excluded.expires_at
    where l.expires_at <= clock_timestamp()
    returning epoch;
end;
comment on function ops.take_lease is 'The epoch under which the caller may act alone, or null while somebody else may.';

create function ops.keep_lease(p_name text, p_epoch bigint, p_seconds double precision) returns boolean
language sql volatile set search_path = pg_catalog, pg_temp
begin atomic
    with kept as (
        update ops.leases set expires_at = clock_timestamp() + make_interval(secs => p_seconds)
        where name = p_name and epoch = p_epoch and expires_at > clock_timestamp()
        returning true
    )
    select exists (select from kept);
end;
comment on function ops.keep_lease is 'Hold it longer; false where it has passed to somebody else or run out.';

create function ops.give_lease(p_name text, p_epoch bigint) returns void
language sql volatile set search_path = pg_catalog, pg_temp
begin atomic
    update ops.leases set expires_at = clock_timestamp() where name = p_name and epoch = p_epoch;
end;
comment on function ops.give_lease is 'Let the next one begin.';

create function ops.require_lease(p_name text, p_epoch bigint) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
begin
    perform from ops.leases
    where name = p_name and epoch = p_epoch and expires_at > clock_timestamp()
    for update;
    if not found then
        raise exception 'the lease % of epoch % is not held any more', p_name, p_epoch using errcode = 'ZM409';
    end if;
end
$$;
comment on function ops.require_lease is
'ZM409 unless the epoch holds the lease; locks its row, so that everything under it happens one after another.';

create function ops.open_intent(
    p_lease text, p_epoch bigint, p_market_no int, p_action text, p_arguments jsonb, p_plan jsonb
) returns bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    v_no bigint;
begin
    perform ops.require_lease(p_lease, p_epoch);
    insert into ops.intents (market_no, action, arguments, plan, lease_epoch)
    values (p_market_no, p_action, p_arguments, p_plan, p_epoch)
    on conflict (market_no, action) where state in ('planned', 'sent', 'landed', 'reopened', 'quarantined')
    do update set arguments = excluded.arguments, plan = excluded.plan, lease_epoch = excluded.lease_epoch
    where intents.state = 'planned'
    returning intent_no into v_no;
    return v_no;
end
$$;
comment on function ops.open_intent is
'The intent for an action of a market, new or taken over from an earlier run that signed nothing; null while an open one stands in the way. ZM409 without the lease.';

create function ops.store_submission(
    p_lease text, p_epoch bigint, p_intent_no bigint, p_signature text, p_bytes bytea, p_last_valid_block_height bigint,
    p_payer text, p_fee_lamports bigint, p_units int, p_budget_lamports bigint
) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    v_spent numeric;
begin
    perform ops.require_lease(p_lease, p_epoch);
    select coalesce(sum(fee_lamports), 0) into v_spent
    from ops.submissions
    where
        stored_at >= date_trunc('day', clock_timestamp() at time zone 'UTC') at time zone 'UTC'
        and ending is distinct from 'expired';
    if v_spent + p_fee_lamports > p_budget_lamports then
        raise exception 'the day''s budget of % lamports is used up: % are spent, this would cost %',
            p_budget_lamports, v_spent, p_fee_lamports using errcode = 'ZM429';
    end if;
    update ops.intents set state = 'sent'
    where intent_no = p_intent_no and state = 'planned' and lease_epoch = p_epoch;
    if not found then
        raise exception 'intent % is not planned under epoch %', p_intent_no, p_epoch using errcode = 'ZM409';
    end if;
    insert into ops.submissions (
        signature, intent_no, transaction_bytes, last_valid_block_height, payer, fee_lamports, units, lease_epoch
    )
    values (p_signature, p_intent_no, p_bytes, p_last_valid_block_height, p_payer, p_fee_lamports, p_units, p_epoch);
end
$$;
comment on function ops.store_submission is
'Keep signed bytes before they leave. ZM409 without the lease or where the intent is not planned under it, ZM429 beyond the day''s budget (UTC, fees of all submissions that landed or may), unique_violation while another submission of the intent may land.';

create function ops.reopen_retracted() returns setof bigint
language sql volatile set search_path = pg_catalog, pg_temp
begin atomic
    with gone as (
        select i.intent_no, s.signature
        from ops.intents as i
        inner join ops.submissions as s on i.intent_no = s.intent_no and s.ending = 'landed'
        inner join raw.transactions as t on s.signature = t.signature
        where
            i.state in ('done', 'landed') and t.retracted_at is not null
            and not exists (
                select from ops.intents as o
                where
                    o.market_no = i.market_no and o.action = i.action and o.intent_no <> i.intent_no
                    and o.state in ('planned', 'sent', 'landed', 'reopened', 'quarantined')
            )
    ),
    undone as (
        update ops.submissions as s set ending = null, ended_at = null
        from gone where s.signature = gone.signature
    )
    update ops.intents as i set state = 'reopened', closed_at = null
    from gone where i.intent_no = gone.intent_no
    returning i.intent_no;
end;
comment on function ops.reopen_retracted is
'Open again what was done by a transaction that the chain has since been proven not to hold. Its bytes count as able to land until they are proven dead once more.';

create function ops.release_intent(p_intent_no bigint, p_who text) returns boolean
language sql volatile set search_path = pg_catalog, pg_temp
begin atomic
    with released as (
        update ops.intents
        set
            state = 'refused', closed_at = clock_timestamp(),
            outcome = jsonb_build_object('kind', 'released', 'words', 'Released by ' || p_who || '.', 'before', outcome)
        where
            intent_no = p_intent_no and state = 'quarantined'
            and not exists (select from ops.submissions as s where s.intent_no = p_intent_no and s.ending is null)
        returning true
    )
    select exists (select from released);
end;
comment on function ops.release_intent is
'A person has looked: the next plan may begin anew. False where it is not quarantined, or something of it may still land.';

grant execute on function ops.take_lease, ops.keep_lease, ops.give_lease, ops.require_lease, ops.open_intent,
ops.store_submission, ops.reopen_retracted, ops.release_intent to zmart_keeper;
-- What was decided and what came of it may be read; signed bytes are the keeper's alone.
grant select on ops.intents to zmart_api, analyst;
grant select (signature, intent_no, payer, fee_lamports, stored_at, sent_at, ended_at, ending, slot)
on ops.submissions to zmart_api, analyst;
