-- What people write. Rows are written only by the functions below, each as one wallet: they take the writer's lock,
-- append to the feed, and fold in the same transaction. Row level security stands behind them, forced on the owner too.
--
-- Errors carry SQLSTATE ZM403, ZM404, ZM409 or ZM422, which the API answers as the HTTP status of the same number.

create schema app;
comment on schema app is 'What people wrote here rather than on chain.';

create function app.current_wallet() returns text
language sql stable parallel safe
return nullif(current_setting('zmart.wallet', true), '');
comment on function app.current_wallet is 'The wallet this request acts as, or null.';

create function app.current_wallet_no() returns int
language sql stable
begin atomic
    select w.wallet_no from raw.wallets_seen as w where w.wallet = app.current_wallet();
end;
comment on function app.current_wallet_no is 'Number of the wallet this request acts as, or null when the log has not met it.';

create table app.wallets (
    wallet_no int primary key references raw.wallets_seen,
    display_name text check (length(display_name) between 1 and 50),
    bio text check (length(bio) <= 500),
    avatar_url text check (length(avatar_url) <= 500),
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp()
);
comment on table app.wallets is 'One row per wallet that said something about itself.';

create table app.market_metadata (
    market_id text collate "C" primary key check (market_id ~ '^[0-9a-f]{64}$'),
    wallet_no int not null references raw.wallets_seen,
    question text not null check (length(question) between 10 and 200),
    description text check (length(description) <= 2000),
    category text collate "C" not null default 'other'
    check (category in ('politics', 'sports', 'crypto', 'science', 'entertainment', 'other')),
    tags text [] not null default '{}' check (cardinality(tags) <= 10),
    ends_at timestamptz,
    question_cid text collate "C",
    created_at timestamptz not null default clock_timestamp()
);
comment on table app.market_metadata is
'One row per market whose creator told us its question; events carry none (protocol.md 1.4.2).';

create table app.ballots (
    seq bigint primary key,
    market_no int not null references raw.markets_seen,
    kind text collate "C" not null check (kind in ('proposal', 'dispute')),
    wallet_no int not null references raw.wallets_seen,
    vote boolean not null,
    cast_at timestamptz not null default clock_timestamp(),
    message text not null,
    signature text collate "C" not null,
    -- One wallet, one ballot: the second is refused by the index, whatever raced with it.
    unique (market_no, kind, wallet_no)
);
comment on table app.ballots is 'One row per ballot cast through the API. vote: proposal like, dispute agree.';

create table app.comments (
    comment_no bigint generated always as identity primary key,
    seq bigint not null unique,
    market_no int not null references raw.markets_seen,
    wallet_no int not null references raw.wallets_seen,
    parent_no bigint references app.comments,
    content text not null check (length(btrim(content)) > 0 and length(content) <= 1000),
    created_at timestamptz not null default clock_timestamp(),
    edited_at timestamptz,
    deleted_at timestamptz
);
create index on app.comments (market_no, created_at desc);
create index on app.comments (wallet_no, created_at desc);
comment on table app.comments is 'One row per post under a market; a reply names its parent.';

create table app.comment_edits (
    comment_no bigint not null references app.comments,
    edited_at timestamptz not null default clock_timestamp(),
    content_before text not null,
    primary key (comment_no, edited_at)
);
comment on table app.comment_edits is 'What a comment said before each edit.';

create table app.reactions (
    comment_no bigint not null references app.comments,
    wallet_no int not null references raw.wallets_seen,
    seq bigint not null,
    vote text collate "C" not null check (vote in ('up', 'down')),
    reacted_at timestamptz not null default clock_timestamp(),
    primary key (comment_no, wallet_no)
);
comment on table app.reactions is 'One row per wallet and comment it has an opinion on.';

create table app.flags (
    comment_no bigint not null references app.comments,
    wallet_no int not null references raw.wallets_seen,
    reason text not null check (length(reason) between 1 and 500),
    flagged_at timestamptz not null default clock_timestamp(),
    primary key (comment_no, wallet_no)
);
comment on table app.flags is 'One row per wallet and comment it reported.';

create table app.sessions (
    session_id uuid primary key default gen_random_uuid(),
    wallet_no int not null references raw.wallets_seen,
    refresh_hash bytea not null unique,
    issued_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null,
    replaced_by uuid references app.sessions,
    revoked_at timestamptz
);
comment on table app.sessions is 'One row per refresh token, hashed; used once, then replaced.';

create table app.redeemed_nonces (
    nonce text collate "C" primary key,
    wallet_no int not null references raw.wallets_seen,
    redeemed_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null
);
comment on table app.redeemed_nonces is 'Nonces that were used. The primary key makes the second use fail.';

-- Row level security. The owner runs the functions below, so it is forced on the owner as well.
do $$
declare
    t text;
begin
    foreach t in array array['wallets', 'market_metadata', 'ballots', 'comments', 'comment_edits',
                             'reactions', 'flags', 'sessions', 'redeemed_nonces']
    loop
        execute format('alter table app.%I enable row level security', t);
        execute format('alter table app.%I force row level security', t);
    end loop;
    foreach t in array array['wallets', 'market_metadata', 'ballots', 'comments', 'reactions']
    loop
        execute format('create policy read_by_all on app.%I for select using (true)', t);
    end loop;
    foreach t in array array['wallets', 'market_metadata', 'ballots', 'comments', 'reactions', 'flags',
                             'sessions', 'redeemed_nonces']
    loop
        execute format('create policy write_as_oneself on app.%I for insert to zmart_owner
                        with check (wallet_no = app.current_wallet_no())', t);
    end loop;
    foreach t in array array['wallets', 'comments', 'reactions', 'sessions']
    loop
        execute format('create policy change_ones_own on app.%I for update to zmart_owner
                        using (wallet_no = app.current_wallet_no())
                        with check (wallet_no = app.current_wallet_no())', t);
    end loop;
    foreach t in array array['sessions', 'redeemed_nonces', 'flags']
    loop
        execute format('create policy read_ones_own on app.%I for select to zmart_owner, zmart_api
                        using (wallet_no = app.current_wallet_no())', t);
    end loop;
end
$$;
create policy take_back_ones_own on app.reactions for delete to zmart_owner
using (wallet_no = app.current_wallet_no());
create policy read_by_all on app.comment_edits for select using (true);
create policy write_of_ones_own on app.comment_edits for insert to zmart_owner
with check (exists (
    select from app.comments as c
    where c.comment_no = comment_edits.comment_no and c.wallet_no = app.current_wallet_no()
));

-- The one way to a place in the log, for functions that hold raw.writer.
create function raw.next_seq() returns bigint
language sql stable
begin atomic
    select coalesce(max(f.seq), 0) + 1 from raw.feed as f;
end;
comment on function raw.next_seq is 'The seq the next fact will have. True only for whoever holds raw.writer.';

create function raw.wallet_number(p_wallet text) returns int
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    v_no int;
begin
    select wallet_no into v_no from raw.wallets_seen where wallet = p_wallet;
    if v_no is null then
        insert into raw.wallets_seen (wallet_no, wallet)
        select coalesce(max(wallet_no), 0) + 1, p_wallet from raw.wallets_seen
        returning wallet_no into v_no;
    end if;
    return v_no;
end
$$;
comment on function raw.wallet_number is 'Number of a wallet, handed out on first sight. Call it holding raw.writer.';

create function raw.market_number(p_market text) returns int
language sql stable
begin atomic
    select m.market_no from raw.markets_seen as m where m.market_id = p_market or m.account = p_market;
end;
comment on function raw.market_number is 'Number of a market named by its 64-hex id or its account, or null.';

create function raw.take_writer() returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    set local lock_timeout = '5s';
    lock table raw.writer in exclusive mode;
end
$$;
comment on function raw.take_writer is 'Wait for the right to append, at most five seconds.';

create function app.require_wallet() returns text
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
begin
    if app.current_wallet() is null then
        raise exception 'no wallet is signed in' using errcode = 'ZM403';
    end if;
    return app.current_wallet();
end
$$;

create function app.cast_ballot(
    p_market text, p_kind text, p_vote boolean, p_message text, p_signature text
) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_wallet text := app.require_wallet();
    v_wallet_no int;
    v_market_no int;
    v_state text;
    v_seq bigint;
begin
    perform raw.take_writer();
    if exists (select from ops.models where name = 'markets' and stale_since is not null) then
        raise exception 'the markets are being mended; no ballot can be judged until they follow the log'
            using errcode = 'ZM409';
    end if;
    v_market_no := raw.market_number(p_market);
    select state into v_state from marts.markets where market_no = v_market_no and is_known;
    if v_state is null then
        raise exception 'there is no market %', p_market using errcode = 'ZM404';
    end if;
    if v_state is distinct from (case p_kind when 'proposal' then 'PROPOSED' when 'dispute' then 'DISPUTED' end) then
        raise exception 'a % ballot cannot be cast while the market is %', p_kind, v_state using errcode = 'ZM409';
    end if;
    v_wallet_no := raw.wallet_number(v_wallet);
    v_seq := raw.next_seq();
    begin
        insert into app.ballots (seq, market_no, kind, wallet_no, vote, message, signature)
        values (v_seq, v_market_no, p_kind, v_wallet_no, p_vote, p_message, p_signature);
    exception when unique_violation then
        raise exception 'this wallet has already cast its % ballot on this market', p_kind using errcode = 'ZM409';
    end;
    insert into raw.feed (seq, kind, ref, market_no, wallet_no)
    values (v_seq, 'ballot', v_seq, v_market_no, v_wallet_no);
    perform folds.fold(v_seq - 1, v_seq);
    notify zmart_feed;
    return v_seq;
end
$$;
comment on function app.cast_ballot is
'Cast the signed-in wallet''s ballot, once per market and kind. Returns its seq. ZM404 unknown market, ZM409 wrong state or second ballot.';

create function app.post_comment(p_market text, p_content text, p_parent_no bigint default null) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_wallet text := app.require_wallet();
    v_wallet_no int;
    v_market_no int;
    v_comment_no bigint;
    v_seq bigint;
begin
    if length(btrim(p_content)) = 0 or length(p_content) > 1000 then
        raise exception 'a comment has 1 to 1000 characters' using errcode = 'ZM422';
    end if;
    perform raw.take_writer();
    v_market_no := raw.market_number(p_market);
    if v_market_no is null then
        raise exception 'there is no market %', p_market using errcode = 'ZM404';
    end if;
    if p_parent_no is not null and not exists (
        select from app.comments where comment_no = p_parent_no and market_no = v_market_no and deleted_at is null
    ) then
        raise exception 'there is no comment % under this market', p_parent_no using errcode = 'ZM404';
    end if;
    v_wallet_no := raw.wallet_number(v_wallet);
    v_seq := raw.next_seq();
    insert into app.comments (seq, market_no, wallet_no, parent_no, content)
    values (v_seq, v_market_no, v_wallet_no, p_parent_no, p_content)
    returning comment_no into v_comment_no;
    insert into raw.feed (seq, kind, ref, market_no, wallet_no)
    values (v_seq, 'comment', v_comment_no, v_market_no, v_wallet_no);
    perform folds.fold(v_seq - 1, v_seq);
    notify zmart_feed;
    return v_comment_no;
end
$$;
comment on function app.post_comment is
'Post as the signed-in wallet. Returns the comment''s number. ZM404 unknown market or parent, ZM422 unfit text.';

create function app.redeem_nonce(p_nonce text, p_expires_at timestamptz) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_wallet text := app.require_wallet();
    v_wallet_no int;
begin
    perform raw.take_writer();
    -- A statement of its own: the policy looks the number up in the snapshot of the insert.
    v_wallet_no := raw.wallet_number(v_wallet);
    insert into app.redeemed_nonces (nonce, wallet_no, expires_at) values (p_nonce, v_wallet_no, p_expires_at);
exception when unique_violation then
    raise exception 'this nonce was used before' using errcode = 'ZM409';
end
$$;
comment on function app.redeem_nonce is 'Use a nonce up as the signed-in wallet. ZM409 when it was used before.';
