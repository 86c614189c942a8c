-- Signing in, ballots bound to what they say, and limits that processes share.

-- A refresh token belongs to a family: all that follow from one signing in. The second use of a token ends its family.
alter table app.sessions add column family_id uuid not null default gen_random_uuid();
alter table app.sessions drop constraint sessions_replaced_by_fkey;
alter table app.sessions
add constraint sessions_replaced_by_fkey foreign key (replaced_by) references app.sessions on delete set null;
alter table app.sessions add constraint sessions_refresh_hash_check check (length(refresh_hash) = 32);
create index on app.sessions (family_id);
create index on app.sessions (expires_at);
create index on app.sessions (replaced_by);
create index on app.redeemed_nonces (expires_at);
comment on column app.sessions.family_id is 'The signing in that this token descends from.';

-- What expired an hour ago is forgotten by whoever comes next; until then a second use must find the first.
do $$
declare
    t text;
begin
    foreach t in array array['sessions', 'redeemed_nonces']
    loop
        execute format('create policy see_what_expired on app.%I for select to zmart_owner
                        using (expires_at < clock_timestamp() - interval ''1 hour'')', t);
        execute format('create policy forget_what_expired on app.%I for delete to zmart_owner
                        using (expires_at < clock_timestamp() - interval ''1 hour'')', t);
    end loop;
end
$$;

create function app.forget_expired() returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    -- One at a time; whoever finds another at it leaves it to them.
    if not pg_try_advisory_xact_lock(hashtextextended('zmart forget expired', 0)) then
        return;
    end if;
    delete from app.redeemed_nonces where nonce in (
        select nonce from app.redeemed_nonces where expires_at < clock_timestamp() - interval '1 hour' limit 100);
    delete from app.sessions where session_id in (
        select session_id from app.sessions where expires_at < clock_timestamp() - interval '1 hour' limit 100);
end
$$;
comment on function app.forget_expired is 'Delete some of the nonces and sessions that are of no use any more.';

-- The number of the wallet that acts. Only a wallet never seen before waits for the writer's lock.
create function app.own_number() returns int
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    v_wallet text := app.require_wallet();
    v_no int;
begin
    select wallet_no into v_no from raw.wallets_seen where wallet = v_wallet;
    if v_no is null then
        perform raw.take_writer();
        v_no := raw.wallet_number(v_wallet);
    end if;
    return v_no;
end
$$;
comment on function app.own_number is 'Number of the signed-in wallet, handed out where it has none.';

create or replace function app.redeem_nonce(p_nonce text, p_expires_at timestamptz) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    -- A statement of its own: the policy looks the number up in the snapshot of the insert.
    v_wallet_no int := app.own_number();
begin
    insert into app.redeemed_nonces (nonce, wallet_no, expires_at) values (p_nonce, v_wallet_no, p_expires_at);
    perform app.forget_expired();
exception when unique_violation then
    raise exception 'this nonce was used before' using errcode = 'ZM409';
end
$$;

create function app.open_session(
    p_nonce text, p_nonce_expires_at timestamptz, p_refresh_hash bytea, p_expires_at timestamptz
) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_wallet_no int;
    v_family uuid;
begin
    perform app.redeem_nonce(p_nonce, p_nonce_expires_at);
    v_wallet_no := app.own_number();
    insert into app.sessions (wallet_no, refresh_hash, expires_at)
    values (v_wallet_no, p_refresh_hash, p_expires_at)
    returning family_id into v_family;
    return v_family;
end
$$;
comment on function app.open_session is
'Sign in as the current wallet: use the nonce up and begin a family of sessions. ZM409 when the nonce was used before.';

-- Returns instead of raising: what a reuse revokes must be committed.
create function app.rotate_session(
    p_refresh_hash bytea, p_next_hash bytea, p_expires_at timestamptz, out outcome text, out family_id uuid
)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_session app.sessions;
    v_next uuid;
begin
    perform app.require_wallet();
    select * into v_session from app.sessions as s where s.refresh_hash = p_refresh_hash for update;
    family_id := v_session.family_id;
    outcome := case
        when v_session.session_id is null then 'unknown'
        when v_session.revoked_at is not null then 'revoked'
        when v_session.replaced_by is not null then 'reused'
        when v_session.expires_at <= clock_timestamp() then 'expired'
        else 'rotated'
    end;
    if outcome = 'reused' then
        update app.sessions as s set revoked_at = clock_timestamp()
        where s.family_id = v_session.family_id and s.revoked_at is null;
    elsif outcome = 'rotated' then
        insert into app.sessions (wallet_no, refresh_hash, expires_at, family_id)
        values (v_session.wallet_no, p_next_hash, p_expires_at, v_session.family_id)
        returning session_id into v_next;
        update app.sessions as s set replaced_by = v_next where s.session_id = v_session.session_id;
    end if;
end
$$;
comment on function app.rotate_session is
'Replace the current wallet''s refresh token by the next one: rotated, unknown, expired, revoked, or reused, which revokes its family.';

create function app.close_session(p_refresh_hash bytea) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_family uuid;
begin
    perform app.require_wallet();
    select family_id into v_family from app.sessions where refresh_hash = p_refresh_hash;
    update app.sessions set revoked_at = clock_timestamp() where family_id = v_family and revoked_at is null;
    return found;
end
$$;
comment on function app.close_session is 'Sign out: revoke the family of this refresh token of the current wallet.';

-- A ballot whose signed text names market, choice and nonce. The nonce is null for the older texts, which name nothing.
create function app.cast_signed_ballot(
    p_market text, p_kind text, p_vote boolean, p_message text, p_signature text,
    p_nonce text, p_nonce_expires_at timestamptz, p_eligibility text
) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_wallet text := app.require_wallet();
    v_wallet_no int;
    v_market_no int;
begin
    -- First, so that a chain vote of this wallet is either folded already or comes after.
    perform raw.take_writer();
    v_market_no := raw.market_number(p_market);
    select wallet_no into v_wallet_no from raw.wallets_seen where wallet = v_wallet;
    if p_eligibility = 'known' and not exists (
        select from raw.events where wallet_no = v_wallet_no and retracted_at is null
    ) then
        raise exception 'only wallets that appear on chain may vote here; this one has done nothing yet'
            using errcode = 'ZM403';
    end if;
    if exists (
        select from marts.ballots where market_no = v_market_no and kind = p_kind and wallet_no = v_wallet_no
    ) then
        raise exception 'this wallet has already cast its % ballot on this market', p_kind using errcode = 'ZM409';
    end if;
    if p_kind = 'dispute' and exists (
        select from marts.markets as m, ops.settings as s
        where m.market_no = v_market_no and s.name = 'dispute_voting_window_seconds'
            and clock_timestamp() >= m.dispute_initiated_at + make_interval(secs => s.value)
    ) then
        raise exception 'voting on this dispute is over' using errcode = 'ZM409';
    end if;
    if p_nonce is not null then
        perform app.redeem_nonce(p_nonce, p_nonce_expires_at);
    end if;
    return app.cast_ballot(p_market, p_kind, p_vote, p_message, p_signature);
end
$$;
comment on function app.cast_signed_ballot is
'app.cast_ballot, once per nonce, for eligible wallets, never beside a vote on chain. ZM403 not eligible, ZM404, ZM409.';

-- Anyone may tell about any market, before it exists even, and nobody in another's place: readers show what the
-- market's creator told. So a stranger who is faster takes nothing away.
alter table app.market_metadata drop constraint market_metadata_pkey;
alter table app.market_metadata add primary key (market_id, wallet_no);
create policy change_ones_own on app.market_metadata for update to zmart_owner
using (wallet_no = app.current_wallet_no())
with check (wallet_no = app.current_wallet_no());
comment on table app.market_metadata is
'One row per market and wallet that told its question; that of its creator counts. Events carry none (protocol.md 1.4.2).';

create function app.set_market_metadata(
    p_market_id text, p_question text, p_description text, p_category text, p_tags text [], p_ends_at timestamptz,
    p_question_cid text
) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_wallet text := app.require_wallet();
    v_wallet_no int;
    v_market_no int;
    v_creator text;
    v_anchored text;
    v_seq bigint;
begin
    perform raw.take_writer();
    v_wallet_no := raw.wallet_number(v_wallet);
    v_market_no := raw.market_number(p_market_id);
    select creator_wallet, ipfs_question_hash into v_creator, v_anchored
    from marts.markets where market_no = v_market_no and is_known;
    if v_creator <> v_wallet then
        raise exception 'only its creator can describe a market' using errcode = 'ZM403';
    end if;
    -- Older clients put the first 46 characters of some JSON where a content id belongs (protocol.md 5.3).
    if v_anchored !~ '^Qm[1-9A-HJ-NP-Za-km-z]{44}$' then
        p_question_cid := null;
    elsif v_anchored <> p_question_cid then
        raise exception 'this is not what the market was created with: % is anchored', v_anchored using errcode = 'ZM409';
    end if;
    insert into app.market_metadata
        (market_id, wallet_no, question, description, category, tags, ends_at, question_cid)
    values (p_market_id, v_wallet_no, p_question, p_description, p_category, p_tags, p_ends_at, p_question_cid)
    on conflict (market_id, wallet_no) do update set
        question = excluded.question, description = excluded.description, category = excluded.category,
        tags = excluded.tags, ends_at = excluded.ends_at, question_cid = excluded.question_cid;
    if v_market_no is null then
        return null;
    end if;
    v_seq := raw.next_seq();
    insert into raw.feed (seq, kind, ref, market_no, wallet_no)
    values (v_seq, 'metadata', v_seq, v_market_no, v_wallet_no);
    perform folds.fold(v_seq - 1, v_seq);
    notify zmart_feed;
    return v_seq;
end
$$;
comment on function app.set_market_metadata is
'Tell a market''s question as the current wallet; its seq, or null before the market exists. ZM403 not its creator, ZM409 not what it anchored.';

-- What is left of each bucket's allowance. Unlogged: after a crash everyone begins anew.
create unlogged table app.allowances (
    bucket text collate "C" primary key,
    began timestamptz not null,
    used int not null
);
comment on table app.allowances is 'One row per address or wallet that asked lately: what it used since its window began.';

create function app.lease_allowance(
    p_bucket text, p_limit int, p_wanted int, p_window_seconds int,
    out granted int, out remaining int, out resets_in double precision
)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_began timestamptz;
    v_left int;
begin
    insert into app.allowances (bucket, began, used) values (p_bucket, v_now, 0) on conflict do nothing;
    select began, p_limit - used into v_began, v_left from app.allowances where bucket = p_bucket for update;
    if v_began is null or v_began <= v_now - make_interval(secs => p_window_seconds) then
        v_began := v_now;
        v_left := p_limit;
    end if;
    -- A quarter of what is left: few calls at first, and little stranded in any one process at the end.
    granted := case when v_left < p_wanted then 0 else greatest(p_wanted, v_left / 4) end;
    remaining := v_left - granted;
    resets_in := extract(epoch from v_began - v_now) + p_window_seconds;
    update app.allowances set began = v_began, used = p_limit - remaining where bucket = p_bucket;
    if random() < 0.01 then
        delete from app.allowances where bucket in (
            select bucket from app.allowances
            where began < v_now - interval '1 hour' limit 1000 for update skip locked);
    end if;
end
$$;
comment on function app.lease_allowance is
'Take a block of a bucket''s allowance: at least p_wanted, or none when less is left. Windows begin with their first call.';

revoke all on all functions in schema app from public;
grant execute on function app.open_session, app.rotate_session, app.close_session, app.cast_signed_ballot,
app.set_market_metadata, app.lease_allowance to zmart_api;
