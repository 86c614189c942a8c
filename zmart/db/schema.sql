--
-- PostgreSQL database dump
--

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: app; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA app;

--
-- Name: SCHEMA app; Type: COMMENT; Schema: -; Owner: -
--

COMMENT ON SCHEMA app IS 'What people wrote here rather than on chain.';

--
-- Name: dagster; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA dagster;

--
-- Name: SCHEMA dagster; Type: COMMENT; Schema: -; Owner: -
--

COMMENT ON SCHEMA dagster IS 'Dagster''s own storage; its tables belong to Dagster.';

--
-- Name: folds; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA folds;

--
-- Name: SCHEMA folds; Type: COMMENT; Schema: -; Owner: -
--

COMMENT ON SCHEMA folds IS 'Generated functions that merge a window of the log into the folded marts.';

--
-- Name: lmsr; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA lmsr;

--
-- Name: SCHEMA lmsr; Type: COMMENT; Schema: -; Owner: -
--

COMMENT ON SCHEMA lmsr IS 'The program''s market maker, bit for bit: exp, ln, cost, price_yes, proceeds (protocol.md 2).';

--
-- Name: marts; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA marts;

--
-- Name: SCHEMA marts; Type: COMMENT; Schema: -; Owner: -
--

COMMENT ON SCHEMA marts IS 'What readers read: markets, trades, positions, ballots and what follows from them.';

--
-- Name: ops; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA ops;

--
-- Name: SCHEMA ops; Type: COMMENT; Schema: -; Owner: -
--

COMMENT ON SCHEMA ops IS 'How the system itself is doing.';

--
-- Name: raw; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA raw;

--
-- Name: SCHEMA raw; Type: COMMENT; Schema: -; Owner: -
--

COMMENT ON SCHEMA raw IS 'The append-only log. Everything else can be made again from it.';

--
-- Name: zmart_migrations; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA zmart_migrations;

--
-- Name: pg_trgm; Type: EXTENSION; Schema: -; Owner: -
--

CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;

--
-- Name: EXTENSION pg_trgm; Type: COMMENT; Schema: -; Owner: -
--

COMMENT ON EXTENSION pg_trgm IS 'text similarity measurement and index searching based on trigrams';

--
-- Name: cast_ballot(text, text, boolean, text, text); Type: FUNCTION; Schema: app; Owner: -
--

CREATE FUNCTION app.cast_ballot(p_market text, p_kind text, p_vote boolean, p_message text, p_signature text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_wallet text := app.require_wallet();
    v_wallet_no int;
    v_market_no int;
    v_state text;
    v_seq bigint;
begin
    perform raw.take_writer();
    if exists (select from ops.models where name = 'markets' and applied_seq is not null) then
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

--
-- Name: FUNCTION cast_ballot(p_market text, p_kind text, p_vote boolean, p_message text, p_signature text); Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON FUNCTION app.cast_ballot(p_market text, p_kind text, p_vote boolean, p_message text, p_signature text) IS 'Cast the signed-in wallet''s ballot, once per market and kind. Returns its seq. ZM404 unknown market, ZM409 wrong state or second ballot.';

--
-- Name: cast_signed_ballot(text, text, boolean, text, text, text, timestamp with time zone, text); Type: FUNCTION; Schema: app; Owner: -
--

CREATE FUNCTION app.cast_signed_ballot(p_market text, p_kind text, p_vote boolean, p_message text, p_signature text, p_nonce text, p_nonce_expires_at timestamp with time zone, p_eligibility text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

--
-- Name: FUNCTION cast_signed_ballot(p_market text, p_kind text, p_vote boolean, p_message text, p_signature text, p_nonce text, p_nonce_expires_at timestamp with time zone, p_eligibility text); Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON FUNCTION app.cast_signed_ballot(p_market text, p_kind text, p_vote boolean, p_message text, p_signature text, p_nonce text, p_nonce_expires_at timestamp with time zone, p_eligibility text) IS 'app.cast_ballot, once per nonce, for eligible wallets, never beside a vote on chain. ZM403 not eligible, ZM404, ZM409.';

--
-- Name: close_session(bytea); Type: FUNCTION; Schema: app; Owner: -
--

CREATE FUNCTION app.close_session(p_refresh_hash bytea) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_family uuid;
begin
    perform app.require_wallet();
    select family_id into v_family from app.sessions where refresh_hash = p_refresh_hash;
    update app.sessions set revoked_at = clock_timestamp() where family_id = v_family and revoked_at is null;
    return found;
end
$$;

--
-- Name: FUNCTION close_session(p_refresh_hash bytea); Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON FUNCTION app.close_session(p_refresh_hash bytea) IS 'Sign out: revoke the family of this refresh token of the current wallet.';

--
-- Name: current_wallet(); Type: FUNCTION; Schema: app; Owner: -
--

CREATE FUNCTION app.current_wallet() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN NULLIF(current_setting('zmart.wallet'::text, true), ''::text);

--
-- Name: FUNCTION current_wallet(); Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON FUNCTION app.current_wallet() IS 'The wallet this request acts as, or null.';

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: wallets_seen; Type: TABLE; Schema: raw; Owner: -
--

CREATE TABLE raw.wallets_seen (
    wallet_no integer NOT NULL,
    wallet text NOT NULL COLLATE pg_catalog."C"
);

--
-- Name: TABLE wallets_seen; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON TABLE raw.wallets_seen IS 'One row per wallet ever named by an event or by a person.';

--
-- Name: current_wallet_no(); Type: FUNCTION; Schema: app; Owner: -
--

CREATE FUNCTION app.current_wallet_no() RETURNS integer
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT w.wallet_no
    FROM raw.wallets_seen w
   WHERE (w.wallet = app.current_wallet());
END;

--
-- Name: FUNCTION current_wallet_no(); Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON FUNCTION app.current_wallet_no() IS 'Number of the wallet this request acts as, or null when the log has not met it.';

--
-- Name: delete_comment(bigint); Type: FUNCTION; Schema: app; Owner: -
--

CREATE FUNCTION app.delete_comment(p_comment_no bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_wallet text := app.require_wallet();
    v_comment app.comments;
begin
    v_comment := app.standing_comment(p_comment_no);
    if v_comment.wallet_no is distinct from app.current_wallet_no() then
        raise exception 'You can only delete your own discussions' using errcode = 'ZM403';
    end if;
    update app.comments set deleted_at = clock_timestamp() where comment_no = p_comment_no;
    return app.say('comment', v_comment, v_comment.wallet_no);
end
$$;

--
-- Name: FUNCTION delete_comment(p_comment_no bigint); Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON FUNCTION app.delete_comment(p_comment_no bigint) IS 'Hide one''s own comment; replies stay. Returns the seq. ZM403 another''s, ZM404 none or deleted already.';

--
-- Name: edit_comment(bigint, text); Type: FUNCTION; Schema: app; Owner: -
--

CREATE FUNCTION app.edit_comment(p_comment_no bigint, p_content text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_wallet text := app.require_wallet();
    v_comment app.comments;
begin
    perform app.require_content(p_content);
    v_comment := app.standing_comment(p_comment_no);
    if v_comment.wallet_no is distinct from app.current_wallet_no() then
        raise exception 'You can only edit your own discussions' using errcode = 'ZM403';
    end if;
    if v_comment.content = p_content then
        return v_comment.seq;
    end if;
    insert into app.comment_edits (comment_no, content_before) values (p_comment_no, v_comment.content);
    update app.comments set content = p_content, edited_at = clock_timestamp() where comment_no = p_comment_no;
    return app.say('comment', v_comment, v_comment.wallet_no);
end
$$;

--
-- Name: FUNCTION edit_comment(p_comment_no bigint, p_content text); Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON FUNCTION app.edit_comment(p_comment_no bigint, p_content text) IS 'Change one''s own comment; what it said before is kept. Returns the seq. ZM403 another''s, ZM404 none or deleted, ZM422 unfit text.';

--
-- Name: flag_comment(bigint, text); Type: FUNCTION; Schema: app; Owner: -
--

CREATE FUNCTION app.flag_comment(p_comment_no bigint, p_reason text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_wallet text := app.require_wallet();
    v_wallet_no int;
    v_comment app.comments;
begin
    if p_reason is null or length(btrim(p_reason)) = 0 or length(p_reason) > 500 then
        raise exception 'a reason has 1 to 500 characters' using errcode = 'ZM422';
    end if;
    v_comment := app.standing_comment(p_comment_no);
    v_wallet_no := raw.wallet_number(v_wallet);
    insert into app.flags (comment_no, wallet_no, reason) values (p_comment_no, v_wallet_no, p_reason);
exception when unique_violation then
    raise exception 'this wallet has reported this comment before' using errcode = 'ZM409';
end
$$;

--
-- Name: FUNCTION flag_comment(p_comment_no bigint, p_reason text); Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON FUNCTION app.flag_comment(p_comment_no bigint, p_reason text) IS 'Report a comment, once a wallet. ZM404, ZM409 reported before, ZM422 unfit reason.';

--
-- Name: forget_expired(); Type: FUNCTION; Schema: app; Owner: -
--

CREATE FUNCTION app.forget_expired() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

--
-- Name: FUNCTION forget_expired(); Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON FUNCTION app.forget_expired() IS 'Delete some of the nonces and sessions that are of no use any more.';

--
-- Name: lease_allowance(text, integer, integer, integer); Type: FUNCTION; Schema: app; Owner: -
--

CREATE FUNCTION app.lease_allowance(p_bucket text, p_limit integer, p_wanted integer, p_window_seconds integer, OUT granted integer, OUT remaining integer, OUT resets_in double precision) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_now timestamptz := clock_timestamp();
    v_began timestamptz;
    v_left int := p_limit;
begin
    -- A quarter of what is left: few calls at first, and little stranded in any one process at the end.
    granted := case when v_left < p_wanted then 0 else greatest(p_wanted, v_left / 4) end;
    remaining := v_left - granted;
    resets_in := p_window_seconds;
    insert into app.allowances (bucket, began, used) values (p_bucket, v_now, granted) on conflict do nothing;
    if found then
        if random() < 0.01 then
            delete from app.allowances where bucket in (
                select bucket from app.allowances
                where began < v_now - interval '1 hour' limit 1000 for update skip locked);
        end if;
        return;
    end if;
    select began, p_limit - used into v_began, v_left from app.allowances where bucket = p_bucket for update;
    if v_began is null or v_began <= v_now - make_interval(secs => p_window_seconds) then
        v_began := v_now;
        v_left := p_limit;
    end if;
    granted := case when v_left < p_wanted then 0 else greatest(p_wanted, v_left / 4) end;
    remaining := v_left - granted;
    resets_in := extract(epoch from v_began - v_now) + p_window_seconds;
    update app.allowances set began = v_began, used = p_limit - remaining where bucket = p_bucket;
end
$$;

--
-- Name: FUNCTION lease_allowance(p_bucket text, p_limit integer, p_wanted integer, p_window_seconds integer, OUT granted integer, OUT remaining integer, OUT resets_in double precision); Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON FUNCTION app.lease_allowance(p_bucket text, p_limit integer, p_wanted integer, p_window_seconds integer, OUT granted integer, OUT remaining integer, OUT resets_in double precision) IS 'Take a block of a bucket''s allowance: at least p_wanted, or none when less is left. Windows begin with their first call.';

--
-- Name: name_the_teller(); Type: FUNCTION; Schema: app; Owner: -
--

CREATE FUNCTION app.name_the_teller() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    select wallet into new.user_wallet from raw.wallets_seen where wallet_no = new.wallet_no;
    return new;
end
$$;

--
-- Name: FUNCTION name_the_teller(); Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON FUNCTION app.name_the_teller() IS 'Write the wallet''s address beside its number.';

--
-- Name: open_session(text, timestamp with time zone, bytea, timestamp with time zone); Type: FUNCTION; Schema: app; Owner: -
--

CREATE FUNCTION app.open_session(p_nonce text, p_nonce_expires_at timestamp with time zone, p_refresh_hash bytea, p_expires_at timestamp with time zone) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

--
-- Name: FUNCTION open_session(p_nonce text, p_nonce_expires_at timestamp with time zone, p_refresh_hash bytea, p_expires_at timestamp with time zone); Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON FUNCTION app.open_session(p_nonce text, p_nonce_expires_at timestamp with time zone, p_refresh_hash bytea, p_expires_at timestamp with time zone) IS 'Sign in as the current wallet: use the nonce up and begin a family of sessions. ZM409 when the nonce was used before.';

--
-- Name: own_number(); Type: FUNCTION; Schema: app; Owner: -
--

CREATE FUNCTION app.own_number() RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

--
-- Name: FUNCTION own_number(); Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON FUNCTION app.own_number() IS 'Number of the signed-in wallet, handed out where it has none.';

--
-- Name: post_comment(text, text, bigint); Type: FUNCTION; Schema: app; Owner: -
--

CREATE FUNCTION app.post_comment(p_market text, p_content text, p_parent_no bigint DEFAULT NULL::bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_wallet text := app.require_wallet();
    v_wallet_no int;
    v_market_no int;
    v_root_no bigint;
    v_comment_no bigint;
    v_seq bigint;
begin
    perform app.require_content(p_content);
    perform raw.take_writer();
    v_market_no := raw.market_number(p_market);
    if v_market_no is null then
        raise exception 'there is no market %', p_market using errcode = 'ZM404';
    end if;
    if p_parent_no is not null then
        select coalesce(root_no, comment_no) into v_root_no from app.comments
        where comment_no = p_parent_no and market_no = v_market_no and deleted_at is null;
        if v_root_no is null then
            raise exception 'there is no comment % under this market', p_parent_no using errcode = 'ZM404';
        end if;
    end if;
    v_wallet_no := raw.wallet_number(v_wallet);
    v_seq := raw.next_seq();
    insert into app.comments (seq, market_no, wallet_no, parent_no, root_no, content)
    values (v_seq, v_market_no, v_wallet_no, p_parent_no, v_root_no, p_content)
    returning comment_no into v_comment_no;
    insert into raw.feed (seq, kind, ref, market_no, wallet_no)
    values (v_seq, 'comment', v_comment_no, v_market_no, v_wallet_no);
    perform folds.fold(v_seq - 1, v_seq);
    notify zmart_feed;
    return v_comment_no;
end
$$;

--
-- Name: FUNCTION post_comment(p_market text, p_content text, p_parent_no bigint); Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON FUNCTION app.post_comment(p_market text, p_content text, p_parent_no bigint) IS 'Post as the signed-in wallet. Returns the comment''s number. ZM404 unknown market or parent, ZM422 unfit text.';

--
-- Name: react(bigint, text); Type: FUNCTION; Schema: app; Owner: -
--

CREATE FUNCTION app.react(p_comment_no bigint, p_vote text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_wallet text := app.require_wallet();
    v_wallet_no int;
    v_comment app.comments;
    v_before text;
begin
    if p_vote is not null and p_vote not in ('up', 'down') then
        raise exception 'a vote is up or down, or none to take it back' using errcode = 'ZM422';
    end if;
    v_comment := app.standing_comment(p_comment_no);
    v_wallet_no := raw.wallet_number(v_wallet);
    select vote into v_before from app.reactions where comment_no = p_comment_no and wallet_no = v_wallet_no;
    if v_before is not distinct from p_vote then
        return null;
    end if;
    if p_vote is null then
        delete from app.reactions where comment_no = p_comment_no and wallet_no = v_wallet_no;
    else
        insert into app.reactions (comment_no, wallet_no, seq, vote)
        values (p_comment_no, v_wallet_no, raw.next_seq(), p_vote)
        on conflict (comment_no, wallet_no)
        do update set seq = excluded.seq, vote = excluded.vote, reacted_at = clock_timestamp();
    end if;
    return app.say('reaction', v_comment, v_wallet_no);
end
$$;

--
-- Name: FUNCTION react(p_comment_no bigint, p_vote text); Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON FUNCTION app.react(p_comment_no bigint, p_vote text) IS 'Say up or down of a comment, or null to take it back; one opinion a wallet. Returns the seq, null when nothing changed. ZM404, ZM422.';

--
-- Name: redeem_nonce(text, timestamp with time zone); Type: FUNCTION; Schema: app; Owner: -
--

CREATE FUNCTION app.redeem_nonce(p_nonce text, p_expires_at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

--
-- Name: FUNCTION redeem_nonce(p_nonce text, p_expires_at timestamp with time zone); Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON FUNCTION app.redeem_nonce(p_nonce text, p_expires_at timestamp with time zone) IS 'Use a nonce up as the signed-in wallet. ZM409 when it was used before.';

--
-- Name: require_content(text); Type: FUNCTION; Schema: app; Owner: -
--

CREATE FUNCTION app.require_content(p_content text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if p_content is null or length(btrim(p_content, E' \t\n\r')) = 0 or length(p_content) > 1000 then
        raise exception 'a comment has 1 to 1000 characters' using errcode = 'ZM422';
    end if;
end
$$;

--
-- Name: FUNCTION require_content(p_content text); Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON FUNCTION app.require_content(p_content text) IS 'ZM422 unless a text can be a comment.';

--
-- Name: require_wallet(); Type: FUNCTION; Schema: app; Owner: -
--

CREATE FUNCTION app.require_wallet() RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if app.current_wallet() is null then
        raise exception 'no wallet is signed in' using errcode = 'ZM403';
    end if;
    return app.current_wallet();
end
$$;

--
-- Name: rotate_session(bytea, bytea, timestamp with time zone); Type: FUNCTION; Schema: app; Owner: -
--

CREATE FUNCTION app.rotate_session(p_refresh_hash bytea, p_next_hash bytea, p_expires_at timestamp with time zone, OUT outcome text, OUT family_id uuid) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

--
-- Name: FUNCTION rotate_session(p_refresh_hash bytea, p_next_hash bytea, p_expires_at timestamp with time zone, OUT outcome text, OUT family_id uuid); Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON FUNCTION app.rotate_session(p_refresh_hash bytea, p_next_hash bytea, p_expires_at timestamp with time zone, OUT outcome text, OUT family_id uuid) IS 'Replace the current wallet''s refresh token by the next one: rotated, unknown, expired, revoked, or reused, which revokes its family.';

--
-- Name: comments; Type: TABLE; Schema: app; Owner: -
--

CREATE TABLE app.comments (
    comment_no bigint NOT NULL,
    seq bigint NOT NULL,
    market_no integer NOT NULL,
    wallet_no integer NOT NULL,
    parent_no bigint,
    content text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    edited_at timestamp with time zone,
    deleted_at timestamp with time zone,
    root_no bigint,
    CONSTRAINT comments_content_check CHECK (((length(btrim(content)) > 0) AND (length(content) <= 1000))),
    CONSTRAINT comments_root_check CHECK (((parent_no IS NULL) = (root_no IS NULL)))
);

ALTER TABLE ONLY app.comments FORCE ROW LEVEL SECURITY;

--
-- Name: TABLE comments; Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON TABLE app.comments IS 'One row per post under a market; a reply names its parent.';

--
-- Name: COLUMN comments.root_no; Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON COLUMN app.comments.root_no IS 'The post that began the thread; null for that post itself.';

--
-- Name: say(text, app.comments, integer); Type: FUNCTION; Schema: app; Owner: -
--

CREATE FUNCTION app.say(p_kind text, p_comment app.comments, p_wallet_no integer) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_seq bigint := raw.next_seq();
begin
    insert into raw.feed (seq, kind, ref, market_no, wallet_no)
    values (v_seq, p_kind, p_comment.comment_no, p_comment.market_no, p_wallet_no);
    perform folds.fold(v_seq - 1, v_seq);
    notify zmart_feed;
    return v_seq;
end
$$;

--
-- Name: FUNCTION say(p_kind text, p_comment app.comments, p_wallet_no integer); Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON FUNCTION app.say(p_kind text, p_comment app.comments, p_wallet_no integer) IS 'Append that something happened to a comment; its seq. Call it holding raw.writer.';

--
-- Name: set_market_metadata(text, text, text, text, text[], timestamp with time zone, text); Type: FUNCTION; Schema: app; Owner: -
--

CREATE FUNCTION app.set_market_metadata(p_market_id text, p_question text, p_description text, p_category text, p_tags text[], p_ends_at timestamp with time zone, p_question_cid text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;

--
-- Name: FUNCTION set_market_metadata(p_market_id text, p_question text, p_description text, p_category text, p_tags text[], p_ends_at timestamp with time zone, p_question_cid text); Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON FUNCTION app.set_market_metadata(p_market_id text, p_question text, p_description text, p_category text, p_tags text[], p_ends_at timestamp with time zone, p_question_cid text) IS 'Tell a market''s question as the current wallet; its seq, or null before the market exists. ZM403 not its creator, ZM409 not what it anchored.';

--
-- Name: standing_comment(bigint); Type: FUNCTION; Schema: app; Owner: -
--

CREATE FUNCTION app.standing_comment(p_comment_no bigint) RETURNS app.comments
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_comment app.comments;
begin
    perform raw.take_writer();
    select * into v_comment from app.comments where comment_no = p_comment_no and deleted_at is null;
    if v_comment.comment_no is null then
        raise exception 'Discussion not found' using errcode = 'ZM404';
    end if;
    return v_comment;
end
$$;

--
-- Name: FUNCTION standing_comment(p_comment_no bigint); Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON FUNCTION app.standing_comment(p_comment_no bigint) IS 'A comment that is not deleted, holding raw.writer. ZM404.';

--
-- Name: as_of_sql(text); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.as_of_sql(p_sql text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN replace(replace(p_sql, '(true /*fold*/) and (true /*unplaced*/)'::text, '(cast_at < v_until and (p_market_no is null or market_no = p_market_no))'::text), '(true /*fold*/)'::text, '(order_key < v_bound and (p_market_no is null or market_no = p_market_no))'::text);

--
-- Name: FUNCTION as_of_sql(p_sql text); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.as_of_sql(p_sql text) IS 'A model''s select over what the log holds up to a place on chain.';

--
-- Name: average_cost_step(numeric[], numeric[], boolean, boolean, numeric, numeric); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.average_cost_step(p_state numeric[], p_before numeric[], p_is_buy boolean, p_is_yes boolean, p_shares numeric, p_lamports numeric) RETURNS numeric[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    -- Per side, YES then NO: shares, lamports paid for them, lamports realized by sells.
    v_state numeric [] := coalesce(p_state, p_before, array[0, 0, 0, 0, 0, 0]);
    i int := case when p_is_yes then 1 else 4 end;
    v_removed numeric := 0;
begin
    if p_is_buy then
        v_state[i] := v_state[i] + p_shares;
        v_state[i + 1] := v_state[i + 1] + p_lamports;
        return v_state;
    end if;
    if v_state[i] > 0 then
        v_removed := div(v_state[i + 1] * least(p_shares, v_state[i]), v_state[i]);
    end if;
    v_state[i] := v_state[i] - p_shares;
    v_state[i + 1] := v_state[i + 1] - v_removed;
    v_state[i + 2] := v_state[i + 2] + p_lamports - v_removed;
    return v_state;
end
$$;

--
-- Name: FUNCTION average_cost_step(p_state numeric[], p_before numeric[], p_is_buy boolean, p_is_yes boolean, p_shares numeric, p_lamports numeric); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.average_cost_step(p_state numeric[], p_before numeric[], p_is_buy boolean, p_is_yes boolean, p_shares numeric, p_lamports numeric) IS 'One trade on top of a position: a buy adds to shares and their cost, a sell takes out shares at their average cost (floor) and realizes the rest.';

--
-- Name: models; Type: TABLE; Schema: ops; Owner: -
--

CREATE TABLE ops.models (
    name text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    definition_hash text NOT NULL COLLATE pg_catalog."C",
    listens_to text[] NOT NULL,
    fold_sql text NOT NULL,
    merge_sql text NOT NULL,
    key_columns text[] NOT NULL,
    scope_columns text[] NOT NULL,
    columns text[] NOT NULL,
    fee_sensitive boolean NOT NULL,
    built_to bigint NOT NULL,
    built_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    stale_since timestamp with time zone,
    applied_seq bigint,
    failed_event bigint,
    reason text,
    indexes text[],
    staged_as text COLLATE pg_catalog."C",
    staged_sql text,
    behind_since timestamp with time zone,
    attempts integer,
    data_failures integer,
    next_attempt_at timestamp with time zone,
    CONSTRAINT models_check CHECK (((stale_since IS NULL) OR (applied_seq IS NOT NULL))),
    CONSTRAINT models_check1 CHECK (((staged_as IS NULL) = (staged_sql IS NULL))),
    CONSTRAINT models_kind_check CHECK ((kind = ANY (ARRAY['fold'::text, 'ordered'::text])))
);

--
-- Name: TABLE models; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON TABLE ops.models IS 'One row per folded model. One that follows the log has no applied_seq. One that is behind stopped at applied_seq, for reason, and is retried. A stale one (stale_since) waits for a rebuild.';

--
-- Name: COLUMN models.listens_to; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.models.listens_to IS 'Event names and feed kinds that change it; a window without any skips it.';

--
-- Name: COLUMN models.fold_sql; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.models.fold_sql IS 'The model''s compiled select; the marker in it stands for the window of the log.';

--
-- Name: COLUMN models.merge_sql; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.models.merge_sql IS 'How a window''s partial result is merged into /*target*/.';

--
-- Name: COLUMN models.scope_columns; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.models.scope_columns IS 'Columns, in log and mart alike, that say which rows an event touches.';

--
-- Name: COLUMN models.indexes; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.models.indexes IS 'The indexes that the model asks for, as Postgres writes them after USING; null before it was installed with them.';

--
-- Name: COLUMN models.staged_as; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.models.staged_as IS 'The step it shares with other models: a type in folds for its rows and a function of that name for those of a window; null where it shares none.';

--
-- Name: COLUMN models.staged_sql; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.models.staged_sql IS 'The select of that step, word for word as it stands in fold_sql and merge_sql.';

--
-- Name: COLUMN models.behind_since; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.models.behind_since IS 'When it stopped following the log; null while it follows.';

--
-- Name: COLUMN models.attempts; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.models.attempts IS 'Attempts that failed, less those that made progress: the pause grows with it, and the window of an attempt shrinks.';

--
-- Name: COLUMN models.data_failures; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.models.data_failures IS 'Attempts that failed for another reason than the environment; the third makes the model stale.';

--
-- Name: COLUMN models.next_attempt_at; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.models.next_attempt_at IS 'When it is tried again.';

--
-- Name: catch_up(text, ops.models, bigint, bigint); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.catch_up(p_target text, p_model ops.models, p_from bigint, p_to bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_touched bigint [] := folds.touched(p_from, p_to, p_model.fee_sensitive, p_all => true);
    v_scope text := (select string_agg(quote_ident(c), ', ') from unnest(p_model.scope_columns) as c);
    v_columns text := (select string_agg(quote_ident(c), ', ') from unnest(p_model.columns) as c);
    v_upto bigint := p_from;
    v_in text;
begin
    if p_model.kind = 'ordered' then
        -- Its live path continues from the live table; beside it, the keys of the window are told again.
        select v_touched || array_agg(seq) into v_touched from raw.events where seq > p_from and seq <= p_to;
        v_upto := p_to;
    end if;
    if v_touched is not null then
        v_in := format('(%s) in (select %s from raw.events where seq = any(%L::bigint []))', v_scope, v_scope, v_touched);
        execute format('delete from %s where %s', p_target, v_in);
        execute format('insert into %s (%s) select %s from (%s) as refolded', p_target, v_columns, v_columns,
            folds.windowed(p_model.fold_sql, format('(%s and seq <= %s)', v_in, v_upto)));
    end if;
    if p_model.kind = 'fold' then
        execute replace(
            folds.windowed(p_model.merge_sql, format('(seq > %s and seq <= %s)', p_from, p_to)), '/*target*/', p_target
        );
    end if;
end
$$;

--
-- Name: FUNCTION catch_up(p_target text, p_model ops.models, p_from bigint, p_to bigint); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.catch_up(p_target text, p_model ops.models, p_from bigint, p_to bigint) IS 'Merge a window into a table that is being built beside the live one.';

--
-- Name: columns_of(regclass); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.columns_of(p_table regclass) RETURNS text
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT string_agg(format('%s %s %s %s'::text, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid)), ', '::text ORDER BY a.attnum) AS string_agg
    FROM (pg_attribute a
      LEFT JOIN pg_attrdef d ON (((d.adrelid = a.attrelid) AND (d.adnum = a.attnum))))
   WHERE ((a.attrelid = (columns_of.p_table)::oid) AND (a.attnum > 0) AND (NOT a.attisdropped));
END;

--
-- Name: FUNCTION columns_of(p_table regclass); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.columns_of(p_table regclass) IS 'Names, types and expressions of a table''s columns as one text, to compare two tables.';

--
-- Name: write_as_of(text, text); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.write_as_of(p_mart text, p_select text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET client_min_messages TO 'warning'
    AS $_$
declare
    v_function text := format('marts.%I', p_mart || '_as_of');
    v_result text := (
        select string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' order by a.attnum)
        from pg_attribute as a
        where a.attrelid = to_regclass(format('marts.%I', p_mart)) and a.attnum > 0 and not a.attisdropped
    );
begin
    -- Its columns are those of the mart, which `create or replace` would not let change.
    execute format('drop function if exists %s(bigint, int)', v_function);
    execute format($f$
create function %1$s(p_slot bigint, p_market_no int default null) returns table (%2$s)
language plpgsql stable security definer
-- Planned for the slot and market that are asked for.
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan
as $body$
#variable_conflict use_column
declare
    v_bound bigint := (least(p_slot, 549755813886) + 1) << 24;
    v_until timestamptz := coalesce((
        select to_timestamp(least(greatest(e.clock, 0), 253402300799))
        from raw.events as e
        where e.order_key >= v_bound and e.retracted_at is null
        order by e.order_key
        limit 1
    ), 'infinity');
begin
return query
%3$s;
end
$body$ $f$, v_function, v_result, p_select);
    execute format('grant execute on function %s to analyst', v_function);
    execute format('comment on function %s is %L', v_function, format(
        'marts.%s as it would be if the log ended with that slot, of one market or all. Made with the mart, from the same select; it reads the history, so ask for one market where one is enough.',
        p_mart
    ));
end
$_$;

--
-- Name: FUNCTION write_as_of(p_mart text, p_select text); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.write_as_of(p_mart text, p_select text) IS 'Write marts.<mart>_as_of(slot, market) around a select that says v_bound, v_until and p_market_no; its columns are the mart''s.';

--
-- Name: create_as_of(text, text); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.create_as_of(p_model text, p_fold text) RETURNS void
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    BEGIN ATOMIC
 SELECT folds.write_as_of(p_model, format('select
    %s
from (
%s
) as folded'::text, ( SELECT string_agg(format(
                 CASE
                     WHEN (a.attgenerated = ''::"char") THEN '%2$I'::text
                     ELSE '(%1$s)::%3$s as %2$I'::text
                 END, pg_get_expr(d.adbin, d.adrelid), a.attname, format_type(a.atttypid, a.atttypmod)), ',
    '::text ORDER BY a.attnum) AS string_agg
            FROM (pg_attribute a
              LEFT JOIN pg_attrdef d ON (((d.adrelid = a.attrelid) AND (d.adnum = a.attnum))))
           WHERE ((a.attrelid = (to_regclass(format('marts.%I'::text, create_as_of.p_model)))::oid) AND (a.attnum > 0) AND (NOT a.attisdropped))), folds.as_of_sql(p_fold))) AS write_as_of;
END;

--
-- Name: FUNCTION create_as_of(p_model text, p_fold text); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.create_as_of(p_model text, p_fold text) IS 'Write marts.<model>_as_of from the folded model''s own select.';

--
-- Name: create_dispatcher(); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.create_dispatcher() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
begin
    execute format($f$
create or replace function folds.apply(p_from bigint, p_to bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $body$
-- Written by folds.create_dispatcher from ops.models.
--
-- Takes the window (p_from, p_to] of the log into every healthy mart that listens to something in it. What several models ask of the
-- window is found out once.
declare
    v_news text [];
    v_stale text [];
    v_touched bigint [];
    v_priced bigint [];%s
begin
select array_agg(distinct n) into v_news from (
    select name as n from raw.events where seq > p_from and seq <= p_to
    union all
    select kind from raw.feed where seq > p_from and seq <= p_to and kind <> 'event'
) as news;
select coalesce(array_agg(name), '{}') into v_stale from ops.models where applied_seq is not null;
if v_news && '{retracted,moved}' then
    v_touched := folds.touched(p_from, p_to, false);
end if;
%s

%s
end
$body$ $f$, (
        select string_agg(distinct format(E'\n    v_%s folds.%I [];', staged_as, staged_as), '')
        from ops.models where staged_as is not null
    ), (
        select string_agg(said, E'\n' order by said)
        from (
            select format(
                E'if v_news && %L then\n    v_priced := folds.touched(p_from, p_to, true);\nend if;',
                array_agg(distinct news.name) || array['retracted', 'moved']
            ) as said
            from ops.models as m
            cross join lateral unnest(m.listens_to) as news (name)
            where m.fee_sensitive
            having count(*) > 0
            union all
            select format(
                E'if v_news && %L then\n    v_%s := folds.%I(p_from, p_to);\nend if;', array_agg(distinct news.name), m.staged_as, m.staged_as
            )
            from ops.models as m
            cross join lateral unnest(m.listens_to) as news (name)
            where m.staged_as is not null
            group by m.staged_as
        ) as prepared
    ), (
        select string_agg(format(
            E'if v_news && %L and not %L = any(v_stale) then\n    perform folds.%I(p_from, p_to, true, %s%s);\nend if;',
            listens_to || array['retracted', 'moved'], name, 'apply_' || name,
            case when fee_sensitive then 'v_priced' else 'v_touched' end, ', v_' || staged_as
        ), E'\n' order by name)
        from ops.models
    ));
end
$_$;

--
-- Name: FUNCTION create_dispatcher(); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.create_dispatcher() IS 'Write folds.apply, one arm per model of ops.models.';

--
-- Name: create_functions(ops.models); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.create_functions(m ops.models) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET client_min_messages TO 'warning'
    AS $_$
declare
    v_columns text := (select string_agg(quote_ident(c), ', ') from unnest(m.columns) as c);
    v_scope text := (select string_agg(quote_ident(c), ', ') from unnest(m.scope_columns) as c);
    v_keys text := (select string_agg('k.' || quote_ident(c), ', ') from unnest(m.scope_columns) as c);
    v_touched text := format('(%s) in (select %s from raw.events as k where k.seq = any(p_touched))', v_scope, v_keys);
    v_of text := (select string_agg(format('t.%I = k.%I', c, c), ' and ') from unnest(m.scope_columns) as c);
    v_merge text := m.merge_sql;
    v_other regprocedure;
begin
    execute format($f$
create or replace function folds.%1$I(p_touched bigint [], p_upto bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp
set enable_hashjoin = on set enable_mergejoin = on set enable_seqscan = on set plan_cache_mode = auto
as $body$
-- Written by folds.create_functions from sql_models/folds/%2$s.sql; changes belong there.
--
-- Tells the rows of marts.%2$s that these events touched again from their whole history up to p_upto: after a retraction, a settled
-- order, or whatever else changes the meaning of what was folded before. A row is found by (%7$s).
begin
delete from marts.%2$I as t using (select distinct %3$s from raw.events as k where k.seq = any(p_touched)) as k where %4$s;
insert into marts.%2$I (%5$s)
select %5$s from (
%6$s
) as refolded;
end
$body$ $f$, 'refold_' || m.name, m.name, v_keys, v_of, v_columns,
        folds.windowed(m.fold_sql, format('(%s and seq <= p_upto)', v_touched)), v_scope);

    if m.staged_as is not null then
        perform folds.create_stage(m.staged_as, m.staged_sql);
        v_merge := replace(v_merge, m.staged_sql, E'\nselect * from unnest(v_staged)\n');
    end if;
    for v_other in
        select p.oid from pg_proc as p where p.pronamespace = 'folds'::regnamespace and p.proname = 'apply_' || m.name
    loop
        execute format('drop function %s', v_other);
    end loop;
    -- One plan for all windows: planning these statements takes as long as running them on a hundred events. Left alone, a
    -- generic plan guesses a window to be half a percent of the log and hashes the whole mart for it; hence the switches.
    execute format($f$
create function folds.%1$I(
    p_from bigint, p_to bigint, p_is_prepared boolean default false, p_touched bigint [] default null%6$s
) returns void
language plpgsql set search_path = pg_catalog, pg_temp
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $body$
-- Written by folds.create_functions from sql_models/folds/%5$s.sql; changes belong there.
--
-- Takes the window (p_from, p_to] of the log into marts.%5$s. First, rows whose past the window changes are told again. Then the
-- model's select runs over the window, and what it says is merged into what was known: t is the row so far, s what the window says.
-- Whoever calls several models prepares what they share and hands it over; called by itself, it prepares for itself.
declare
    v_touched bigint [] := p_touched;%7$s
begin
if not p_is_prepared then
    v_touched := folds.touched(p_from, p_to, %2$L);%8$s
end if;
if v_touched is not null then
    perform folds.%3$I(v_touched, p_from);
end if;

%4$s;
end
$body$ $f$, 'apply_' || m.name, m.fee_sensitive, 'refold_' || m.name,
        replace(folds.windowed(v_merge, '(seq > p_from and seq <= p_to)'), '/*target*/', format('marts.%I', m.name)), m.name,
        case when m.staged_as is not null then format(', p_staged folds.%I [] default null', m.staged_as) else '' end,
        case when m.staged_as is not null then format(E'\n    v_staged folds.%I [] := p_staged;', m.staged_as) else '' end,
        case when m.staged_as is not null then format(E'\n    v_staged := folds.%I(p_from, p_to);', m.staged_as) else '' end);
    perform folds.create_as_of(m.name, m.fold_sql);
end
$_$;

--
-- Name: FUNCTION create_functions(m ops.models); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.create_functions(m ops.models) IS 'Write folds.apply_<model>, folds.refold_<model>, marts.<model>_as_of and the step it shares from the model''s texts.';

--
-- Name: create_stage(text, text); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.create_stage(p_name text, p_sql text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET client_min_messages TO 'warning'
    AS $_$
declare
    v_columns text;
begin
    -- Its name says what it is made of: what is there already is the same.
    if to_regtype(format('folds.%I', p_name)) is not null then
        return;
    end if;
    execute format('create temporary view staged as %s', p_sql);
    select string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' order by a.attnum) into v_columns
    from pg_attribute as a
    where a.attrelid = 'pg_temp.staged'::regclass and a.attnum > 0;
    drop view pg_temp.staged;
    execute format('create type folds.%I as (%s)', p_name, v_columns);
    execute format($f$
create function folds.%1$I(p_from bigint, p_to bigint) returns folds.%1$I []
language plpgsql stable set search_path = pg_catalog, pg_temp
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $body$
-- Written by folds.create_stage from sql_models/staging; changes belong there.
--
-- A step that several folded models begin with, for the window (p_from, p_to] of the log; null where it has no row.
begin
return (
    select array_agg(row(staged.*)::folds.%1$I)
    from (
%2$s
    ) as staged
);
end
$body$ $f$, p_name, folds.windowed(p_sql, '(seq > p_from and seq <= p_to)'));
end
$_$;

--
-- Name: FUNCTION create_stage(p_name text, p_sql text); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.create_stage(p_name text, p_sql text) IS 'Write the type and the function of a step that models share.';

--
-- Name: distinct_sql(text[]); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.distinct_sql(p_columns text[]) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN (SELECT format('(%s) is distinct from (%s)'::text, string_agg(format('n.%I'::text, c.c), ', '::text), string_agg(format('o.%I'::text, c.c), ', '::text)) AS format FROM unnest(distinct_sql.p_columns) c(c));

--
-- Name: join_sql(text[]); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.join_sql(p_key text[]) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN (SELECT string_agg(format('n.%I = o.%I'::text, c.c, c.c), ' and '::text) AS string_agg FROM unnest(join_sql.p_key) c(c));

--
-- Name: difference_sql(ops.models); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.difference_sql(m ops.models) RETURNS text
    LANGUAGE sql STABLE
    RETURN (SELECT format('
        merge into marts.%1$I as t using (
            select o.ctid as old_row, n.%2$I is null as is_gone, n.*
            from pg_temp.rebuilt as n
            full join marts.%1$I as o on %3$s
            where n.%2$I is null or o.%2$I is null or %4$s
        ) as s on t.ctid = s.old_row
        when matched and s.is_gone then delete
        when matched then update set %5$s
        when not matched then insert (%6$s) values (%7$s)'::text, (difference_sql.m).name, (difference_sql.m).key_columns[1], folds.join_sql((difference_sql.m).key_columns), folds.distinct_sql((difference_sql.m).columns), string_agg(format('%I = s.%I'::text, c.c, c.c), ', '::text), string_agg(quote_ident(c.c), ', '::text), string_agg(format('s.%I'::text, c.c), ', '::text)) AS format FROM unnest((difference_sql.m).columns) c(c));

--
-- Name: FUNCTION difference_sql(m ops.models); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.difference_sql(m ops.models) IS 'The merge that turns a live mart into its rebuilt self, touching only rows that differ.';

--
-- Name: differences(text); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.differences(p_name text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET work_mem TO '256MB'
    SET client_min_messages TO 'warning'
    AS $$
declare
    m ops.models;
    v_differing bigint;
begin
    select * into strict m from ops.models where name = p_name;
    drop table if exists pg_temp.rebuilt;
    execute format('create temporary table rebuilt on commit drop as %s', folds.windowed(m.fold_sql, '(true)'));
    execute format(
        'select count(*) from pg_temp.rebuilt as n full join marts.%I as o on %s where n.%I is null or o.%I is null or %s',
        m.name, folds.join_sql(m.key_columns), m.key_columns[1], m.key_columns[1], folds.distinct_sql(m.columns)
    ) into v_differing;
    drop table pg_temp.rebuilt;
    return v_differing;
end
$$;

--
-- Name: FUNCTION differences(p_name text); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.differences(p_name text) IS 'How many rows of a mart differ from a rebuild, both ways, all columns. Call it in a REPEATABLE READ transaction: one snapshot for both.';

--
-- Name: drop_stages(); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.drop_stages() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_name text;
begin
    for v_name in
        select p.proname
        from pg_proc as p
        inner join pg_type as t on t.typname = p.proname and t.typnamespace = p.pronamespace and t.typtype = 'c'
        where p.pronamespace = 'folds'::regnamespace and p.proname not in (select staged_as from ops.models where staged_as is not null)
    loop
        execute format('drop function folds.%I(bigint, bigint)', v_name);
        execute format('drop type folds.%I', v_name);
    end loop;
end
$$;

--
-- Name: FUNCTION drop_stages(); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.drop_stages() IS 'Drop steps that no model shares any more.';

--
-- Name: events; Type: TABLE; Schema: raw; Owner: -
--

CREATE TABLE raw.events (
    seq bigint NOT NULL,
    order_key bigint NOT NULL,
    transaction_no bigint NOT NULL,
    ordinal integer NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    market_no integer,
    wallet_no integer,
    clock bigint NOT NULL,
    signature text NOT NULL COLLATE pg_catalog."C",
    payload jsonb NOT NULL,
    context jsonb,
    retracted_at timestamp with time zone,
    CONSTRAINT events_ordinal_check CHECK (((ordinal >= 0) AND (ordinal <= 511)))
);

--
-- Name: TABLE events; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON TABLE raw.events IS 'One row per event of the program, keyed by (transaction, ordinal); seq is its place in the feed.';

--
-- Name: COLUMN events.order_key; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON COLUMN raw.events.order_key IS 'Place on chain: slot << 24 | index in block << 9 | ordinal.';

--
-- Name: COLUMN events.clock; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON COLUMN raw.events.clock IS 'The event''s own timestamp: Unix seconds of the chain''s Clock.';

--
-- Name: COLUMN events.payload; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON COLUMN raw.events.payload IS 'The event''s other fields as the program wrote them; 64-bit integers as strings.';

--
-- Name: COLUMN events.context; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON COLUMN raw.events.context IS 'What the event omits, read from the same transaction: instruction arguments and the market account''s lamports. Null where absent.';

--
-- Name: fees_in_force(bigint); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.fees_in_force(p_order_key bigint) RETURNS TABLE(protocol_bps integer, resolver_bps integer, lp_bps integer)
    LANGUAGE sql STABLE ROWS 1
    BEGIN ATOMIC
 SELECT COALESCE(c.protocol_bps, 300) AS "coalesce",
     COALESCE(c.resolver_bps, 200) AS "coalesce",
     COALESCE(c.lp_bps, 500) AS "coalesce"
    FROM (( SELECT) one
      LEFT JOIN LATERAL ( SELECT ((e.payload ->> 'protocol_fee_bps'::text))::integer AS protocol_bps,
             ((e.payload ->> 'resolver_reward_bps'::text))::integer AS resolver_bps,
             ((e.payload ->> 'liquidity_provider_fee_bps'::text))::integer AS lp_bps
            FROM raw.events e
           WHERE ((e.market_no IS NULL) AND (e.order_key < fees_in_force.p_order_key) AND (e.retracted_at IS NULL) AND (e.name = ANY (ARRAY['ConfigUpdated'::text, 'GlobalConfigInitialized'::text])))
           ORDER BY e.order_key DESC
          LIMIT 1) c ON (true));
END;

--
-- Name: FUNCTION fees_in_force(p_order_key bigint); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.fees_in_force(p_order_key bigint) IS 'Fee rates by which the program split a trade at this place on chain; those of initialize before any configuration event (protocol.md 1.4.1).';

--
-- Name: finish_beside(text, text[]); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.finish_beside(p_beside text, p_after text[]) RETURNS text[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_after text;
begin
    foreach v_after in array p_after loop
        execute replace(v_after, '/*target*/', p_beside);
    end loop;
    return folds.indexes_of(p_beside::regclass);
end
$$;

--
-- Name: FUNCTION finish_beside(p_beside text, p_after text[]); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.finish_beside(p_beside text, p_after text[]) IS 'Give a table that is built beside its keys, indexes and storage; returns the indexes.';

--
-- Name: first_failing(text, bigint, bigint); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.first_failing(p_model text, p_from bigint, p_to bigint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
    v_good bigint := p_from;
    v_bad bigint := p_to;
    v_middle bigint;
begin
    while v_bad - v_good > 1 loop
        v_middle := (v_good + v_bad) / 2;
        begin
            execute format('select folds.%I($1, $2)', 'apply_' || p_model) using p_from, v_middle;
            raise exception 'undo the probe' using errcode = 'ZM000';
        exception
            when sqlstate 'ZM000' then v_good := v_middle;
            when others then v_bad := v_middle;
        end;
    end loop;
    return v_bad;
end
$_$;

--
-- Name: FUNCTION first_failing(p_model text, p_from bigint, p_to bigint); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.first_failing(p_model text, p_from bigint, p_to bigint) IS 'The first seq of a failing window that the model cannot take, by bisection; leaves no trace.';

--
-- Name: fold(bigint, bigint); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.fold(p_from bigint, p_to bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '2s'
    AS $_$
declare
    v_began timestamptz := clock_timestamp();
    v_trying timestamptz;
    v_model text;
    v_state text;
    v_reason text;
    v_context text;
    v_tried int := 0;
    v_failed text [] := '{}';
    v_states text [] := '{}';
    v_reasons text [] := '{}';
    v_seconds double precision [] := '{}';
begin
    if to_regprocedure('folds.apply(bigint, bigint)') is null then
        return;
    end if;
    begin
        perform folds.apply(p_from, p_to);
        return;
    exception when query_canceled or others then
        get stacked diagnostics
            v_state = returned_sqlstate, v_reason = message_text, v_context = pg_exception_context;
        if v_state = '57014' then
            if
                not folds.is_out_of_time(v_reason, statement_timestamp())
                -- Time that was spent elsewhere, waiting for a lock or a disk, says nothing about a model.
                or clock_timestamp() - v_began < 0.5 * current_setting('statement_timeout')::interval
            then
                raise;
            end if;
            -- The timer of a statement rings once: the model it rang in is not tried again, and the others are not late.
            v_model := (regexp_match(v_context, 'folds\.(?:apply|refold)_(\w+)\('))[1];
            select array_agg(name) into v_failed
            from ops.models
            where
                applied_seq is null
                -- In a step that is shared, all who share it are late.
                and (name = v_model or v_model is null and strpos(v_context, 'folds.' || staged_as || '(') > 0);
            if v_failed is null then
                -- It rang in what is prepared for all of them. Refusing the append would refuse it each time it is delivered;
                -- models that are behind take the same entries in smaller windows.
                select coalesce(array_agg(name), '{}') into v_failed from ops.models where applied_seq is null;
            end if;
            v_states := array_fill(v_state, array[cardinality(v_failed)]);
            v_reasons := array_fill(v_reason, array[cardinality(v_failed)]);
            v_seconds := array_fill(extract(epoch from clock_timestamp() - v_began)::float8, array[cardinality(v_failed)]);
        end if;
    end;
    for v_model in select name from ops.models where applied_seq is null and name <> all(v_failed) order by name loop
        v_tried := v_tried + 1;
        v_trying := clock_timestamp();
        begin
            execute format('select folds.%I($1, $2)', 'apply_' || v_model) using p_from, p_to;
        exception when others then
            get stacked diagnostics v_state = returned_sqlstate, v_reason = message_text;
            v_failed := v_failed || v_model;
            v_states := v_states || v_state;
            v_reasons := v_reasons || v_reason;
            v_seconds := v_seconds || extract(epoch from clock_timestamp() - v_trying)::float8;
        end;
    end loop;
    if cardinality(v_failed) = v_tried and v_tried > 1 and folds.is_environmental(v_states[1]) then
        -- All of them at once, for want of something: that is the server, and the append is repeated.
        raise exception '%', v_reasons[1] using errcode = v_states[1];
    end if;
    for i in 1 .. cardinality(v_failed) loop
        perform folds.mark_behind(v_failed[i], p_from, case
            -- Whether a part of the window would have fitted in the time or memory says nothing of an event.
            when not folds.is_environmental(v_states[i]) then folds.first_failing(v_failed[i], p_from, p_to)
        end, v_states[i], v_reasons[i], v_seconds[i]);
    end loop;
end
$_$;

--
-- Name: FUNCTION fold(p_from bigint, p_to bigint); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.fold(p_from bigint, p_to bigint) IS 'Merge the window (from, to] of the feed into every mart that follows, in the caller''s transaction. A model that fails, or takes all of the statement''s time, is behind from then on; the append goes on. Raises what all models fail with alike, and the caller''s cancel.';

--
-- Name: indexes_of(regclass); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.indexes_of(p_table regclass) RETURNS text[]
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT COALESCE(array_agg("substring"(pg_get_indexdef(i.indexrelid), ' USING (.*)$'::text) ORDER BY i.indexrelid), '{}'::text[]) AS "coalesce"
    FROM pg_index i
   WHERE ((i.indrelid = (indexes_of.p_table)::oid) AND i.indisvalid AND (NOT i.indisprimary));
END;

--
-- Name: FUNCTION indexes_of(p_table regclass); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.indexes_of(p_table regclass) IS 'The valid indexes of a table beside its primary key, without their names, to compare two tables.';

--
-- Name: refreshed; Type: TABLE; Schema: ops; Owner: -
--

CREATE TABLE ops.refreshed (
    name text NOT NULL COLLATE pg_catalog."C",
    definition_hash text NOT NULL COLLATE pg_catalog."C",
    select_sql text NOT NULL,
    key_columns text[] NOT NULL,
    columns text[] NOT NULL,
    reads text[] NOT NULL,
    applied_seq bigint NOT NULL,
    refreshed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    seconds numeric(12,3) DEFAULT 0 NOT NULL,
    changed_rows bigint DEFAULT 0 NOT NULL,
    indexes text[]
);

--
-- Name: TABLE refreshed; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON TABLE ops.refreshed IS 'One row per refreshed mart: what it computes, and the seq that its rows answer for.';

--
-- Name: COLUMN refreshed.select_sql; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.refreshed.select_sql IS 'The model''s compiled select, with all columns of the mart.';

--
-- Name: COLUMN refreshed.reads; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.refreshed.reads IS 'Marts it is computed from, through views and staging models; one that is behind holds it back.';

--
-- Name: COLUMN refreshed.applied_seq; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.refreshed.applied_seq IS 'The rows say what the log said up to this seq.';

--
-- Name: COLUMN refreshed.seconds; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.refreshed.seconds IS 'How long the last refresh took.';

--
-- Name: COLUMN refreshed.changed_rows; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.refreshed.changed_rows IS 'Rows that the last refresh wrote.';

--
-- Name: COLUMN refreshed.indexes; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.refreshed.indexes IS 'The indexes that the model asks for, as Postgres writes them after USING.';

--
-- Name: index_changes(); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.index_changes() RETURNS SETOF text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    BEGIN ATOMIC
 SELECT format('drop index concurrently if exists %s'::text, (i.indexrelid)::regclass) AS format
    FROM (pg_index i
      JOIN pg_class c ON ((c.oid = i.indrelid)))
   WHERE ((NOT i.indisvalid) AND (c.relnamespace = ('marts'::regnamespace)::oid))
 UNION ALL
  SELECT format('create index concurrently on marts.%I using %s'::text, m.name, wanted.definition) AS format
    FROM (( SELECT models.name,
             models.indexes
            FROM ops.models
         UNION ALL
          SELECT refreshed.name,
             refreshed.indexes
            FROM ops.refreshed) m
      CROSS JOIN LATERAL unnest(m.indexes) wanted(definition))
   WHERE ((to_regclass(format('marts.%I'::text, m.name)) IS NOT NULL) AND (wanted.definition <> ALL (folds.indexes_of(to_regclass(format('marts.%I'::text, m.name))))));
END;

--
-- Name: FUNCTION index_changes(); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.index_changes() IS 'Statements, each to be run outside a transaction, that give live marts the indexes their models ask for. An index that no model asks for any more is left alone.';

--
-- Name: install(ops.models, text, text[]); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.install(m ops.models, p_create text, p_after text[]) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET work_mem TO '256MB'
    SET client_min_messages TO 'warning'
    AS $$
declare
    v_live regclass := to_regclass(format('marts.%I', m.name));
    v_beside text := format('marts.%I', m.name || '__beside');
    v_columns text := (select string_agg(quote_ident(c), ', ') from unnest(m.columns) as c);
    v_to bigint;
    v_head bigint;
    v_in_place boolean;
    v_built bigint;
begin
    if v_live is not null and exists (
        select from ops.models as known
        where known.name = m.name and known.definition_hash = m.definition_hash and known.stale_since is null
    ) and to_regproc(format('folds.%I', 'apply_' || m.name)) is not null then
        return 'FOLD unchanged';
    end if;
    execute format('drop table if exists %s', v_beside);
    execute format('create table %s (%s)', v_beside, p_create);
    v_in_place := v_live is not null and folds.columns_of(v_live) = folds.columns_of(v_beside::regclass);
    select coalesce(max(seq), 0) into v_to from raw.feed;
    if v_in_place then
        m.indexes := folds.finish_beside(v_beside, p_after);
        execute format('drop table %s', v_beside);
    else
        execute format('insert into %s (%s) select %s from (%s) as built', v_beside, v_columns, v_columns,
            folds.windowed(m.fold_sql, format('(seq <= %s)', v_to)));
        get diagnostics v_built = row_count;
        m.indexes := folds.finish_beside(v_beside, p_after);
        if v_built > 0 then
            -- An empty table is better left to the planner's guess, which is ten pages: known to be empty, it would be walked.
            execute format('analyze %s', v_beside);
        end if;
        perform raw.take_writer();
        select coalesce(max(seq), 0) into v_head from raw.feed;
        if v_head > v_to then
            perform folds.catch_up(v_beside, m, v_to, v_head);
        end if;
        perform folds.swap(m.name);
    end if;
    m.built_to := v_to;
    m.built_at := clock_timestamp();
    m.stale_since := null;
    m.applied_seq := null;
    delete from ops.models where name = m.name;
    insert into ops.models select m.*;
    perform folds.create_functions(m);
    perform folds.create_dispatcher();
    perform folds.drop_stages();
    if v_in_place then
        return format('FOLD in place, %s rows changed', folds.rebuild(m.name));
    end if;
    return 'FOLD built';
end
$$;

--
-- Name: FUNCTION install(m ops.models, p_create text, p_after text[]); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.install(m ops.models, p_create text, p_after text[]) IS 'Make a model live: unchanged, nothing; same columns, rebuilt in place by difference; else built beside and swapped in. Readers see the old rows or the new.';

--
-- Name: install_refreshed(ops.refreshed, text, text[]); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.install_refreshed(r ops.refreshed, p_create text, p_after text[]) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET client_min_messages TO 'warning'
    AS $$
declare
    v_live regclass := to_regclass(format('marts.%I', r.name));
    v_beside text := format('marts.%I', r.name || '__beside');
    v_columns text := (select string_agg(quote_ident(c), ', ') from unnest(r.columns) as c);
    v_known ops.refreshed;
begin
    lock table ops.refreshed in share row exclusive mode;
    select * into v_known from ops.refreshed where name = r.name;
    execute format('drop table if exists %s', v_beside);
    execute format('create table %s (%s)', v_beside, p_create);
    r.refreshed_at := clock_timestamp();
    r.seconds := 0;
    r.changed_rows := 0;
    if v_live is not null and v_known.name is not null and folds.columns_of(v_live) = folds.columns_of(v_beside::regclass) then
        r.indexes := folds.finish_beside(v_beside, p_after);
        execute format('drop table %s', v_beside);
        r.applied_seq := v_known.applied_seq;
        delete from ops.refreshed where name = r.name;
        insert into ops.refreshed select r.*;
        return format('REFRESHED in place, %s rows changed', folds.refresh(r.name));
    end if;
    r.applied_seq := folds.recompute(r);
    execute format('insert into %s (%s) select %s from pg_temp.rebuilt', v_beside, v_columns, v_columns);
    get diagnostics r.changed_rows = row_count;
    drop table pg_temp.rebuilt;
    r.indexes := folds.finish_beside(v_beside, p_after);
    if r.changed_rows > 0 then
        execute format('analyze %s', v_beside);
    end if;
    perform folds.swap(r.name);
    delete from ops.refreshed where name = r.name;
    insert into ops.refreshed select r.*;
    return 'REFRESHED built';
end
$$;

--
-- Name: FUNCTION install_refreshed(r ops.refreshed, p_create text, p_after text[]); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.install_refreshed(r ops.refreshed, p_create text, p_after text[]) IS 'Make a refreshed mart live: same columns, computed again and merged in place; else built beside and swapped in.';

--
-- Name: is_environmental(text); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.is_environmental(p_sqlstate text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ("left"(p_sqlstate, 2) = ANY (ARRAY['08'::text, '40'::text, '53'::text, '55'::text, '57'::text, '58'::text]));

--
-- Name: FUNCTION is_environmental(p_sqlstate text); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.is_environmental(p_sqlstate text) IS 'Whether an error comes from the environment (connection, deadlock, resources, lock, cancel or timeout, system), so that trying again can help.';

--
-- Name: is_out_of_time(text, timestamp with time zone); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.is_out_of_time(p_words text, p_began timestamp with time zone) RETURNS boolean
    LANGUAGE sql STABLE
    RETURN CASE WHEN (p_words ~~ '%statement timeout%'::text) THEN true WHEN (p_words ~~ '%user request%'::text) THEN false ELSE (((current_setting('statement_timeout'::text))::interval > '00:00:00'::interval) AND ((clock_timestamp() - p_began) > ((0.95)::double precision * (current_setting('statement_timeout'::text))::interval))) END;

--
-- Name: FUNCTION is_out_of_time(p_words text, p_began timestamp with time zone); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.is_out_of_time(p_words text, p_began timestamp with time zone) IS 'Whether a 57014 with these words, of a statement that began then, was its own timeout rather than somebody''s cancel.';

--
-- Name: mark_behind(text, bigint, bigint, text, text, double precision); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.mark_behind(p_model text, p_applied_seq bigint, p_failed_event bigint, p_sqlstate text, p_reason text, p_seconds double precision) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    m ops.models;
begin
    update ops.models
    set
        applied_seq = p_applied_seq,
        behind_since = coalesce(behind_since, clock_timestamp()),
        failed_event = p_failed_event,
        reason = p_reason,
        attempts = coalesce(attempts, 0) + 1,
        data_failures = coalesce(data_failures, 0) + case when folds.is_environmental(p_sqlstate) then 0 else 1 end,
        next_attempt_at = clock_timestamp() + case
            -- Three attempts with these pauses span ten minutes: time for a deployment to end, or for an operator to read.
            when not folds.is_environmental(p_sqlstate) then interval '5 minutes'
            -- An attempt holds the log, so attempts take a tenth of the time at most.
            else make_interval(secs => greatest(2 ^ least(coalesce(attempts, 0), 5), 10 * p_seconds))
        end
    where name = p_model and stale_since is null
    returning * into m;
    if m.data_failures >= 3 then
        perform folds.mark_stale(p_model, p_applied_seq, p_failed_event, p_reason);
        perform ops.resolve_alert('mart_behind', p_model);
    elsif m.data_failures > 0 or m.behind_since < clock_timestamp() - interval '1 minute' then
        -- A lock that is gone a moment later is nothing to look at.
        perform ops.raise_alert('mart_behind', p_model, 'warning', format(
            'The mart %s is behind since seq %s: %s failed with "%s". Ingest goes on, and the mart is retried. If this lasts, see: zmart status',
            p_model, p_applied_seq, coalesce('event ' || p_failed_event, 'what came next'), p_reason));
    end if;
end
$$;

--
-- Name: FUNCTION mark_behind(p_model text, p_applied_seq bigint, p_failed_event bigint, p_sqlstate text, p_reason text, p_seconds double precision); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.mark_behind(p_model text, p_applied_seq bigint, p_failed_event bigint, p_sqlstate text, p_reason text, p_seconds double precision) IS 'Take a model out of the live path until an attempt succeeds; the third failure that is not the environment''s makes it stale.';

--
-- Name: mark_stale(text, bigint, bigint, text); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.mark_stale(p_model text, p_applied_seq bigint, p_failed_event bigint, p_reason text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    update ops.models
    set stale_since = clock_timestamp(), applied_seq = p_applied_seq, failed_event = p_failed_event, reason = p_reason
    where name = p_model and stale_since is null;
    insert into raw.feed (seq, kind) values (raw.next_seq(), 'mart_stale');
    perform ops.raise_alert('mart_stale', p_model, 'critical', format(
        'The mart %s stopped at seq %s: %s failed with "%s". Ingest goes on. Mend the model, then run: zmart rebuild %s',
        p_model, p_applied_seq, coalesce('event ' || p_failed_event, 'what came next'), p_reason, p_model));
end
$$;

--
-- Name: FUNCTION mark_stale(p_model text, p_applied_seq bigint, p_failed_event bigint, p_reason text); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.mark_stale(p_model text, p_applied_seq bigint, p_failed_event bigint, p_reason text) IS 'Take a model out of the live path until a rebuild mends it, and tell everyone.';

--
-- Name: rebuild(text); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.rebuild(p_name text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET work_mem TO '256MB'
    SET client_min_messages TO 'warning'
    AS $$
declare
    m ops.models;
    v_to bigint;
    v_head bigint;
    v_changed bigint;
begin
    select * into strict m from ops.models where name = p_name;
    drop table if exists pg_temp.rebuilt;
    select coalesce(max(seq), 0) into v_to from raw.feed;
    execute format('create temporary table rebuilt on commit drop as %s', folds.windowed(m.fold_sql, format('(seq <= %s)', v_to)));
    execute 'analyze rebuilt';
    -- Readers go on; only from here on does the log wait.
    perform raw.take_writer();
    select coalesce(max(seq), 0) into v_head from raw.feed;
    if v_head > v_to then
        execute format('create index on rebuilt (%s)', array_to_string(m.key_columns, ', '));
        perform folds.catch_up('rebuilt', m, v_to, v_head);
    end if;
    execute folds.difference_sql(m);
    get diagnostics v_changed = row_count;
    update ops.models
    set
        built_to = v_head, built_at = clock_timestamp(), stale_since = null, applied_seq = null, failed_event = null, reason = null,
        behind_since = null, attempts = null, data_failures = null, next_attempt_at = null
    where name = p_name;
    update ops.alerts set resolved_at = clock_timestamp()
    where kind in ('mart_stale', 'mart_behind') and subject = p_name and resolved_at is null;
    drop table pg_temp.rebuilt;
    return v_changed;
end
$$;

--
-- Name: FUNCTION rebuild(p_name text); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.rebuild(p_name text) IS 'Fold a model again from the whole log and merge what differs into the live mart, in place: readers, grants and views keep it. Returns the rows that differed.';

--
-- Name: recompute(ops.refreshed); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.recompute(r ops.refreshed) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET work_mem TO '256MB'
    SET client_min_messages TO 'warning'
    AS $_$
declare
    v_answers_for bigint;
begin
    drop table if exists pg_temp.rebuilt;
    -- One statement, so one snapshot: the rows, and the seq they answer for. The row of the seq is there without any rows.
    execute format($f$
        create temporary table rebuilt on commit drop as
        select h.answers_for, m.*
        from (
            select least(
                (select coalesce(max(seq), 0) from raw.feed),
                (select min(a.applied_seq) from ops.answered as a where a.name = any(%L::text []))
            ) as answers_for
        ) as h
        left join (%s) as m on true$f$, r.reads, r.select_sql);
    select min(answers_for) into v_answers_for from pg_temp.rebuilt;
    execute format('delete from pg_temp.rebuilt where %I is null', r.key_columns[1]);
    return v_answers_for;
end
$_$;

--
-- Name: FUNCTION recompute(r ops.refreshed); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.recompute(r ops.refreshed) IS 'Compute a refreshed mart into pg_temp.rebuilt; returns the seq that the rows answer for.';

--
-- Name: refresh(text); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.refresh(p_name text) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET client_min_messages TO 'warning'
    AS $$
declare
    r ops.refreshed;
    v_began timestamptz := clock_timestamp();
    v_answers_for bigint;
    v_changed bigint;
begin
    select * into r from ops.refreshed where name = p_name for update;
    if r is null then
        raise exception 'there is no refreshed mart %', p_name using errcode = 'ZM404';
    end if;
    v_answers_for := folds.recompute(r);
    execute folds.difference_sql(jsonb_populate_record(null::ops.models, jsonb_build_object(
        'name', r.name, 'key_columns', r.key_columns, 'columns', r.columns
    )));
    get diagnostics v_changed = row_count;
    update ops.refreshed
    set
        applied_seq = v_answers_for, refreshed_at = clock_timestamp(), changed_rows = v_changed,
        seconds = extract(epoch from clock_timestamp() - v_began)
    where name = p_name;
    drop table pg_temp.rebuilt;
    return v_changed;
end
$$;

--
-- Name: FUNCTION refresh(p_name text); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.refresh(p_name text) IS 'Compute a refreshed mart again and merge what differs into the live one, in place. Returns the rows written. ZM404 for an unknown mart.';

--
-- Name: repriced(bigint, bigint, bigint[], boolean); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.repriced(p_from bigint, p_to bigint, p_touched bigint[], p_all boolean) RETURNS bigint[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_since bigint;
    v_until bigint;
begin
    select min(order_key) into v_since
    from raw.events
    where
        market_no is null and name in ('ConfigUpdated', 'GlobalConfigInitialized')
        and (seq > p_from and seq <= p_to or seq = any(p_touched));
    if v_since is null then
        return null;
    end if;
    -- The next configuration that was known before ends what this one can change.
    select min(order_key) into v_until
    from raw.events
    where
        market_no is null and name in ('ConfigUpdated', 'GlobalConfigInitialized') and retracted_at is null
        and order_key > (
            select max(order_key)
            from raw.events
            where
                market_no is null and name in ('ConfigUpdated', 'GlobalConfigInitialized')
                and (seq > p_from and seq <= p_to or seq = any(p_touched))
        );
    return (
        select array_agg(e.seq)
        from raw.events as e
        left join marts.trades as t on t.seq = e.seq
        cross join lateral folds.fees_in_force(e.order_key) as f
        where
            e.order_key > v_since and (v_until is null or e.order_key < v_until)
            and e.seq <= p_from and e.name in ('SharesBought', 'SharesSold')
            and (
                p_all
                or (t.protocol_bps, t.resolver_bps, t.lp_bps) is distinct from (f.protocol_bps, f.resolver_bps, f.lp_bps)
            )
    );
end
$$;

--
-- Name: FUNCTION repriced(p_from bigint, p_to bigint, p_touched bigint[], p_all boolean); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.repriced(p_from bigint, p_to bigint, p_touched bigint[], p_all boolean) IS 'Seqs of trades whose fee rates differ from those of marts.trades, because a configuration of this window precedes them on chain; a trade that is not there counts as different. With p_all, every trade whose rates the window may change: for tables that are being built beside the live one.';

--
-- Name: retold(bigint, bigint, bigint[], boolean); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.retold(p_from bigint, p_to bigint, p_touched bigint[], p_all boolean) RETURNS bigint[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_since bigint;
    v_every boolean := p_all or exists (select from ops.models where name = 'trades' and applied_seq is not null);
begin
    if not v_every then
        -- A migration comes before the models that go with it; the log does not wait for them.
        if not exists (
            select from pg_attribute
            where attrelid = to_regclass('marts.trades') and attname = 'gross_from' and not attisdropped
        ) then
            return null;
        end if;
        -- Nearly always nothing after the window depends on it, and this is all that happens.
        -- The + 0 keeps the planner from looking for the least by walking the index on order_key through all of the log.
        select min(e.order_key + 0) into v_since
        from raw.events as e
        where e.seq > p_from and e.seq <= p_to and e.name in ('MarketCreated', 'SharesBought', 'SharesSold');
        if p_touched is null and not exists (
            select from marts.trades where gross_from in ('totals', 'awaited') and order_key > v_since
        ) and not exists (
            select from raw.events where seq > p_from and seq <= p_to and name = 'MarketCreated'
        ) then
            return null;
        end if;
    end if;
    return (
        select array_agg(sold.seq)
        from (
            select w.market_no, min(w.since) as since, bool_or(w.is_creation) as is_creation
            from (
                select e.market_no, e.order_key as since, e.name = 'MarketCreated' as is_creation
                from raw.events as e
                where e.seq > p_from and e.seq <= p_to and e.name in ('MarketCreated', 'SharesBought', 'SharesSold')
                union all
                -- Where it stood before is not known.
                select e.market_no, 0, e.name = 'MarketCreated'
                from raw.events as e
                where e.seq = any(p_touched) and e.name in ('MarketCreated', 'SharesBought', 'SharesSold')
            ) as w
            group by w.market_no
        ) as changed
        inner join raw.events as sold on sold.market_no = changed.market_no and sold.order_key > changed.since
        where
            sold.name = 'SharesSold' and sold.seq <= p_from
            -- Later trades wait for earlier ones, all that b settles or would settle for b.
            and (v_every or exists (
                select from marts.trades as t
                where
                    t.seq = sold.seq
                    and (t.gross_from in ('totals', 'awaited') or changed.is_creation and t.gross_from in ('step', 'guess'))
            ))
    );
end
$$;

--
-- Name: FUNCTION retold(p_from bigint, p_to bigint, p_touched bigint[], p_all boolean); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.retold(p_from bigint, p_to bigint, p_touched bigint[], p_all boolean) IS 'Seqs of sells before the window whose gross follows from a b or from totals that the window changes. With p_all, or while marts.trades is stale, every sell after a change.';

--
-- Name: retry_behind(); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.retry_behind() RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '5s'
    AS $$
declare
    m ops.models;
    v_began timestamptz;
    v_to bigint;
    v_head bigint;
    v_state text;
    v_reason text;
begin
    if not exists (
        select from ops.models where applied_seq is not null and stale_since is null and next_attempt_at <= clock_timestamp()
    ) then
        return false;
    end if;
    perform raw.take_writer();
    -- The log waits from here on. A model that is being installed is left to its installation.
    select * into m
    from ops.models
    where applied_seq is not null and stale_since is null and next_attempt_at <= clock_timestamp()
    order by next_attempt_at, name
    limit 1
    for update skip locked;
    if not found then
        return false;
    end if;
    perform set_config('lock_timeout', '100ms', true);
    v_began := clock_timestamp();
    select coalesce(max(seq), 0) into v_head from raw.feed;
    v_to := least(v_head, m.applied_seq + greatest(1, 10000 >> least(m.attempts, 20)));
    begin
        perform folds.catch_up(format('marts.%I', m.name), m, m.applied_seq, v_to);
    exception when query_canceled or others then
        get stacked diagnostics v_state = returned_sqlstate, v_reason = message_text;
        if v_state = '57014' and not folds.is_out_of_time(v_reason, statement_timestamp()) then
            raise;
        end if;
        perform folds.mark_behind(m.name, m.applied_seq, m.failed_event, v_state, v_reason,
            extract(epoch from clock_timestamp() - v_began)::float8);
        -- Being stale is an entry of the feed.
        notify zmart_feed;
        return true;
    end;
    if v_to < v_head then
        update ops.models
        set applied_seq = v_to, attempts = greatest(m.attempts - 1, 0), next_attempt_at = clock_timestamp()
        where name = m.name;
        return true;
    end if;
    update ops.models
    set
        applied_seq = null, behind_since = null, failed_event = null, reason = null,
        attempts = null, data_failures = null, next_attempt_at = null
    where name = m.name;
    perform ops.resolve_alert('mart_behind', m.name);
    return true;
end
$$;

--
-- Name: FUNCTION retry_behind(); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.retry_behind() IS 'One attempt to bring one model that is behind, and due, nearer to the log, in a window of at most 10,000 entries; false where none is due. Each call is a transaction of its own, so that the log waits for one window at most.';

--
-- Name: standing_on(regclass); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.standing_on(p_table regclass) RETURNS TABLE(depth integer, name text, kind "char", statements text[])
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    BEGIN ATOMIC
 WITH RECURSIVE above AS (
          SELECT r.ev_class AS oid,
             1 AS depth
            FROM (pg_depend d
              JOIN pg_rewrite r ON ((r.oid = d.objid)))
           WHERE ((d.classid = ('pg_rewrite'::regclass)::oid) AND (d.refclassid = ('pg_class'::regclass)::oid) AND (d.refobjid = (standing_on.p_table)::oid) AND (r.ev_class <> (standing_on.p_table)::oid))
         UNION
          SELECT r.ev_class,
             (a_1.depth + 1)
            FROM ((above a_1
              JOIN pg_depend d ON (((d.refobjid = a_1.oid) AND (d.refclassid = ('pg_class'::regclass)::oid))))
              JOIN pg_rewrite r ON (((r.oid = d.objid) AND (d.classid = ('pg_rewrite'::regclass)::oid))))
           WHERE ((r.ev_class <> a_1.oid) AND (a_1.depth < 20))
         )
  SELECT max(a.depth) AS max,
     ((a.oid)::regclass)::text AS oid,
     c.relkind,
     ((((ARRAY[format('create view %s %s as %s'::text, (a.oid)::regclass, ( SELECT (('with ('::text || string_agg(o.o, ', '::text)) || ')'::text)
            FROM unnest(c.reloptions) o(o)), pg_get_viewdef(a.oid))] || COALESCE(( SELECT array_agg(format('grant %s on %s to %I'::text, x.privilege_type, (a.oid)::regclass, ((x.grantee)::regrole)::text)) AS array_agg
            FROM aclexplode(c.relacl) x(grantor, grantee, privilege_type, is_grantable)
           WHERE ((x.grantee <> c.relowner) AND (x.grantee <> (0)::oid))), '{}'::text[])) || COALESCE(( SELECT array_agg(format('grant %s on %s to public'::text, x.privilege_type, (a.oid)::regclass)) AS array_agg
            FROM aclexplode(c.relacl) x(grantor, grantee, privilege_type, is_grantable)
           WHERE (x.grantee = (0)::oid)), '{}'::text[])) || COALESCE(( SELECT array_agg(
                 CASE d.objsubid
                     WHEN 0 THEN format('comment on view %s is %L'::text, (a.oid)::regclass, d.description)
                     ELSE format('comment on column %s.%I is %L'::text, (a.oid)::regclass, t.attname, d.description)
                 END) AS array_agg
            FROM (pg_description d
              LEFT JOIN pg_attribute t ON (((t.attrelid = d.objoid) AND (t.attnum = d.objsubid) AND (d.objsubid > 0))))
           WHERE ((d.classoid = ('pg_class'::regclass)::oid) AND (d.objoid = a.oid))), '{}'::text[])) ||
         CASE
             WHEN (pg_get_userbyid(c.relowner) <> CURRENT_USER) THEN ARRAY[format('alter view %s owner to %I'::text, (a.oid)::regclass, pg_get_userbyid(c.relowner))]
             ELSE '{}'::text[]
         END)
    FROM (above a
      JOIN pg_class c ON ((c.oid = a.oid)))
   WHERE ((NOT pg_is_other_temp_schema(c.relnamespace)) AND (c.relnamespace <> pg_my_temp_schema()))
   GROUP BY a.oid, c.relkind, c.reloptions, c.relacl, c.relowner;
END;

--
-- Name: FUNCTION standing_on(p_table regclass); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.standing_on(p_table regclass) IS 'What stands on a table, the nearest first, with the statements that make it again: definition, options, grants, comments, owner.';

--
-- Name: swap(text); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.swap(p_name text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET client_min_messages TO 'warning'
    AS $$
declare
    v_live regclass := to_regclass(format('marts.%I', p_name));
    v_above record;
    v_statement text;
begin
    if v_live is null then
        execute format('alter table marts.%I rename to %I', p_name || '__beside', p_name);
        return;
    end if;
    create temporary table above_it on commit drop as select * from folds.standing_on(v_live);
    select * into v_above from above_it where kind <> 'v' limit 1;
    if found then
        raise exception '% stands on marts.% and is not a plain view: drop it, deploy, and create it again', v_above.name, p_name
            using errcode = 'dependent_objects_still_exist';
    end if;
    -- The log waits for this transaction: a reader that is in the way is not waited for, the deployment tries again.
    set local lock_timeout = '200ms';
    execute format('drop table marts.%I cascade', p_name);
    execute format('alter table marts.%I rename to %I', p_name || '__beside', p_name);
    for v_above in select * from above_it order by depth loop
        -- A view that names a column that is gone is left to the dbt run that is going on.
        begin
            foreach v_statement in array v_above.statements loop
                execute v_statement;
            end loop;
        exception when undefined_column or undefined_table then
            raise warning 'the view % no longer fits % and waits for its model', v_above.name, p_name;
        end;
    end loop;
    drop table above_it;
end
$$;

--
-- Name: FUNCTION swap(p_name text); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.swap(p_name text) IS 'Put the table built beside in the live one''s place, and its views back on top.';

--
-- Name: touched(bigint, bigint, boolean, boolean); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.touched(p_from bigint, p_to bigint, p_fee_sensitive boolean, p_all boolean DEFAULT false) RETURNS bigint[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_touched bigint [];
    v_others bigint [];
begin
    select array_agg(distinct ref) into v_touched
    from raw.feed
    where seq > p_from and seq <= p_to and kind in ('retracted', 'moved');
    if p_fee_sensitive then
        v_others := folds.repriced(p_from, p_to, v_touched, p_all) || folds.retold(p_from, p_to, v_touched, p_all);
    end if;
    return nullif(coalesce(v_touched, '{}') || coalesce(v_others, '{}'), '{}');
end
$$;

--
-- Name: FUNCTION touched(p_from bigint, p_to bigint, p_fee_sensitive boolean, p_all boolean); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON FUNCTION folds.touched(p_from bigint, p_to bigint, p_fee_sensitive boolean, p_all boolean) IS 'Seqs of events before the window whose contribution the window changes, or null: retracted, moved, and for models that split fees those under other rates or after other totals.';

--
-- Name: windowed(text, text); Type: FUNCTION; Schema: folds; Owner: -
--

CREATE FUNCTION folds.windowed(p_sql text, p_window text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN replace(p_sql, '(true /*fold*/)'::text, p_window);

--
-- Name: exp(numeric); Type: FUNCTION; Schema: lmsr; Owner: -
--

CREATE FUNCTION lmsr.exp(x numeric) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN ((x >= (0)::numeric) AND (x <= ('20000000000'::bigint)::numeric)) THEN div(((((1000000000)::numeric + div(x, (2)::numeric)) + div(div((x * x), (1000000000)::numeric), (12)::numeric)) * (1000000000)::numeric), (((1000000000)::numeric - div(x, (2)::numeric)) + div(div((x * x), (1000000000)::numeric), (12)::numeric))) ELSE NULL::numeric END;

--
-- Name: FUNCTION exp(x numeric); Type: COMMENT; Schema: lmsr; Owner: -
--

COMMENT ON FUNCTION lmsr.exp(x numeric) IS 'The program''s e to the x, a Padé approximant that peaks near 3.46; null beyond 20.0 (ExponentTooLarge).';

--
-- Name: is_u64(numeric); Type: FUNCTION; Schema: lmsr; Owner: -
--

CREATE FUNCTION lmsr.is_u64(x numeric) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((x >= (0)::numeric) AND (x <= '18446744073709551615'::numeric));

--
-- Name: ln(numeric); Type: FUNCTION; Schema: lmsr; Owner: -
--

CREATE FUNCTION lmsr.ln(x numeric) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC
 SELECT
         CASE
             WHEN (ln.x = (1000000000)::numeric) THEN (0)::numeric
             WHEN (ln.x = (2000000000)::numeric) THEN (693147180)::numeric
             WHEN ((ln.x > (1000000000)::numeric) AND (ln.x < (2000000000)::numeric)) THEN ((2)::numeric * ((s.y + div(c.y3, (3)::numeric)) + div(div((c.y3 * q.y2), (1000000000)::numeric), (5)::numeric)))
             ELSE NULL::numeric
         END AS "case"
    FROM ((( SELECT div(((ln.x - (1000000000)::numeric) * (1000000000)::numeric), NULLIF((ln.x + (1000000000)::numeric), (0)::numeric)) AS y) s
      CROSS JOIN LATERAL ( SELECT div((s.y * s.y), (1000000000)::numeric) AS y2) q)
      CROSS JOIN LATERAL ( SELECT div((q.y2 * s.y), (1000000000)::numeric) AS y3) c);
END;

--
-- Name: FUNCTION ln(x numeric); Type: COMMENT; Schema: lmsr; Owner: -
--

COMMENT ON FUNCTION lmsr.ln(x numeric) IS 'The program''s natural logarithm from 1.0 to 2.0, all that the cost function asks for; null elsewhere.';

--
-- Name: cost(numeric, numeric, numeric); Type: FUNCTION; Schema: lmsr; Owner: -
--

CREATE FUNCTION lmsr.cost(q_yes numeric, q_no numeric, b numeric) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC
 SELECT
         CASE
             WHEN ((cost.b >= ('100000000000'::bigint)::numeric) AND lmsr.is_u64(cost.q_yes) AND lmsr.is_u64(cost.q_no) AND lmsr.is_u64(c.lamports)) THEN c.lamports
             ELSE NULL::numeric
         END AS "case"
    FROM (( SELECT div((cost.q_yes * (1000000000)::numeric), NULLIF(cost.b, (0)::numeric)) AS u,
             div((cost.q_no * (1000000000)::numeric), NULLIF(cost.b, (0)::numeric)) AS v) r
      CROSS JOIN LATERAL ( SELECT div((cost.b * (GREATEST(r.u, r.v) + lmsr.ln(((1000000000)::numeric + div(((1000000000)::numeric * (1000000000)::numeric), lmsr.exp(abs((r.u - r.v)))))))), (1000000000)::numeric) AS lamports) c);
END;

--
-- Name: FUNCTION cost(q_yes numeric, q_no numeric, b numeric); Type: COMMENT; Schema: lmsr; Owner: -
--

COMMENT ON FUNCTION lmsr.cost(q_yes numeric, q_no numeric, b numeric) IS 'The cost function C in lamports; a trade costs the difference of two of these. Null where the program refuses.';

--
-- Name: price_yes(numeric, numeric, numeric); Type: FUNCTION; Schema: lmsr; Owner: -
--

CREATE FUNCTION lmsr.price_yes(q_yes numeric, q_no numeric, b numeric) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC
 SELECT
         CASE
             WHEN ((price_yes.b < ('100000000000'::bigint)::numeric) OR (NOT lmsr.is_u64(price_yes.q_yes)) OR (NOT lmsr.is_u64(price_yes.q_no))) THEN NULL::numeric
             WHEN (price_yes.q_yes >= price_yes.q_no) THEN div((p.e * (1000000000)::numeric), (p.e + (1000000000)::numeric))
             ELSE div(((1000000000)::numeric * (1000000000)::numeric), (p.e + (1000000000)::numeric))
         END AS div
    FROM ( SELECT lmsr.exp(div((abs((price_yes.q_yes - price_yes.q_no)) * (1000000000)::numeric), NULLIF(price_yes.b, (0)::numeric))) AS e) p;
END;

--
-- Name: FUNCTION price_yes(q_yes numeric, q_no numeric, b numeric); Type: COMMENT; Schema: lmsr; Owner: -
--

COMMENT ON FUNCTION lmsr.price_yes(q_yes numeric, q_no numeric, b numeric) IS 'Price of a YES share, nine decimals, from the shares of both sides and b; null below b = 100 SOL or beyond 20 b of imbalance. It falls again past 3.46 b (protocol.md 2.6).';

--
-- Name: proceeds(numeric, numeric, numeric, boolean, numeric); Type: FUNCTION; Schema: lmsr; Owner: -
--

CREATE FUNCTION lmsr.proceeds(q_yes numeric, q_no numeric, b numeric, is_yes boolean, shares numeric) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC
 SELECT
         CASE
             WHEN (g.lamports >= (0)::numeric) THEN g.lamports
             ELSE NULL::numeric
         END AS "case"
    FROM ( SELECT (lmsr.cost(proceeds.q_yes, proceeds.q_no, proceeds.b) -
                 CASE
                     WHEN proceeds.is_yes THEN lmsr.cost((proceeds.q_yes - proceeds.shares), proceeds.q_no, proceeds.b)
                     ELSE lmsr.cost(proceeds.q_yes, (proceeds.q_no - proceeds.shares), proceeds.b)
                 END) AS lamports) g;
END;

--
-- Name: FUNCTION proceeds(q_yes numeric, q_no numeric, b numeric, is_yes boolean, shares numeric); Type: COMMENT; Schema: lmsr; Owner: -
--

COMMENT ON FUNCTION lmsr.proceeds(q_yes numeric, q_no numeric, b numeric, is_yes boolean, shares numeric) IS 'Gross lamports of selling shares of one side, before fees, from the totals before the sell. Null where the program refuses.';

--
-- Name: alerts; Type: TABLE; Schema: ops; Owner: -
--

CREATE TABLE ops.alerts (
    alert_no bigint NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    subject text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    severity text NOT NULL COLLATE pg_catalog."C",
    message text NOT NULL,
    occurrences integer DEFAULT 1 NOT NULL,
    raised_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    last_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    acknowledged_at timestamp with time zone,
    resolved_at timestamp with time zone,
    acknowledged_by text,
    posted_at timestamp with time zone,
    resolution_posted_at timestamp with time zone,
    refusals integer DEFAULT 0 NOT NULL,
    refused_at timestamp with time zone,
    refusal text,
    CONSTRAINT alerts_severity_check CHECK ((severity = ANY (ARRAY['info'::text, 'warning'::text, 'critical'::text])))
);

--
-- Name: TABLE alerts; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON TABLE ops.alerts IS 'What a person should look at, deduplicated by (kind, subject) while open.';

--
-- Name: COLUMN alerts.acknowledged_at; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.alerts.acknowledged_at IS 'When a person said that they look after it; it stays open, and quiet.';

--
-- Name: COLUMN alerts.acknowledged_by; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.alerts.acknowledged_by IS 'Who, as they call themselves.';

--
-- Name: COLUMN alerts.posted_at; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.alerts.posted_at IS 'When it was last posted to ALERT_WEBHOOK_URL; null while it was not.';

--
-- Name: COLUMN alerts.resolution_posted_at; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.alerts.resolution_posted_at IS 'When it was posted that it is over.';

--
-- Name: COLUMN alerts.refusals; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.alerts.refusals IS 'How often in a row ALERT_WEBHOOK_URL did not accept it; 0 once it does.';

--
-- Name: COLUMN alerts.refused_at; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.alerts.refused_at IS 'When that happened last.';

--
-- Name: COLUMN alerts.refusal; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.alerts.refusal IS 'The last answer, or the error where there was none.';

--
-- Name: acknowledge_alert(bigint, text); Type: FUNCTION; Schema: ops; Owner: -
--

CREATE FUNCTION ops.acknowledge_alert(p_alert_no bigint, p_by text) RETURNS boolean
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    BEGIN ATOMIC
 WITH acknowledged AS (
          UPDATE ops.alerts SET acknowledged_at = clock_timestamp(), acknowledged_by = acknowledge_alert.p_by
           WHERE ((alerts.alert_no = acknowledge_alert.p_alert_no) AND (alerts.resolved_at IS NULL) AND (alerts.acknowledged_at IS NULL))
           RETURNING alerts.alert_no
         )
  SELECT (EXISTS ( SELECT
            FROM acknowledged)) AS "exists";
END;

--
-- Name: FUNCTION acknowledge_alert(p_alert_no bigint, p_by text); Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON FUNCTION ops.acknowledge_alert(p_alert_no bigint, p_by text) IS 'Say that one looks after an open alert; false where it is not open, or acknowledged already.';

--
-- Name: answered; Type: VIEW; Schema: ops; Owner: -
--

CREATE VIEW ops.answered AS
 SELECT models.name,
    models.applied_seq
   FROM ops.models
  WHERE (models.applied_seq IS NOT NULL)
UNION ALL
 SELECT refreshed.name,
    refreshed.applied_seq
   FROM ops.refreshed;

--
-- Name: VIEW answered; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON VIEW ops.answered IS 'Marts that may be behind the log, and the seq they answer for: stale folds, and every refreshed mart.';

--
-- Name: feed; Type: TABLE; Schema: raw; Owner: -
--

CREATE TABLE raw.feed (
    seq bigint NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    ref bigint,
    market_no integer,
    wallet_no integer,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT feed_kind_check CHECK ((kind = ANY (ARRAY['event'::text, 'retracted'::text, 'moved'::text, 'finalized_through'::text, 'ballot'::text, 'comment'::text, 'reaction'::text, 'metadata'::text, 'mart_stale'::text]))),
    CONSTRAINT feed_seq_check CHECK ((seq > 0))
);

--
-- Name: TABLE feed; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON TABLE raw.feed IS 'One row per fact a reader can learn, gap-free, in commit order.';

--
-- Name: COLUMN feed.ref; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON COLUMN raw.feed.ref IS 'event: null (the row of raw.events has the same seq). retracted, moved: seq of the event. finalized_through: slot. Others: key of the app row.';

--
-- Name: identity; Type: TABLE; Schema: raw; Owner: -
--

CREATE TABLE raw.identity (
    only_row boolean DEFAULT true NOT NULL,
    epoch uuid DEFAULT gen_random_uuid() NOT NULL,
    system_identifier bigint NOT NULL,
    timeline integer NOT NULL,
    database_oid oid NOT NULL,
    genesis_hash text COLLATE pg_catalog."C",
    program_id text COLLATE pg_catalog."C",
    began_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    feed_oid oid,
    CONSTRAINT identity_only_row_check CHECK (only_row)
);

--
-- Name: TABLE identity; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON TABLE raw.identity IS 'Which log this is. A restored or reset database is another epoch, and positions of the old one mean nothing in it.';

--
-- Name: COLUMN identity.feed_oid; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON COLUMN raw.identity.feed_oid IS 'The table raw.feed itself: a restored one has another oid.';

--
-- Name: as_of(text[]); Type: FUNCTION; Schema: ops; Owner: -
--

CREATE FUNCTION ops.as_of(p_models text[]) RETURNS TABLE(epoch text, seq bigint, slot bigint, commitment text)
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
 SELECT (i.epoch)::text AS epoch,
     s.seq,
     s.slot,
         CASE
             WHEN (s.slot <= COALESCE(( SELECT max(f.ref) AS max
                FROM raw.feed f
               WHERE (f.kind = 'finalized_through'::text)), ('-1'::integer)::bigint)) THEN 'finalized'::text
             ELSE 'confirmed'::text
         END AS "case"
    FROM (raw.identity i
      CROSS JOIN LATERAL ( SELECT h.seq,
             ( SELECT (max(e.order_key) >> 24)
                    FROM raw.events e) AS slot
            FROM ( SELECT COALESCE(max(f.seq), (0)::bigint) AS seq
                    FROM raw.feed f) h
           WHERE (NOT (EXISTS ( SELECT
                    FROM ops.answered m
                   WHERE ((m.name = ANY (as_of.p_models)) AND (m.applied_seq < h.seq)))))
         UNION ALL
          SELECT m.applied_seq,
             ( SELECT (e.order_key >> 24)
                    FROM raw.events e
                   WHERE (e.seq <= m.applied_seq)
                   ORDER BY e.seq DESC
                  LIMIT 1)
            FROM ( SELECT min(m_1.applied_seq) AS applied_seq
                    FROM ops.answered m_1
                   WHERE (m_1.name = ANY (as_of.p_models))) m
           WHERE (m.applied_seq < ( SELECT COALESCE(max(f.seq), (0)::bigint) AS "coalesce"
                    FROM raw.feed f))) s);
END;

--
-- Name: FUNCTION as_of(p_models text[]); Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON FUNCTION ops.as_of(p_models text[]) IS 'What rows of these marts answer for, in the snapshot of the caller: the end of the log, or where the first stale model stopped, or what a refreshed mart was computed from. slot is null before the first event. Inlined into the statement that calls it.';

--
-- Name: day_is_over(date); Type: FUNCTION; Schema: ops; Owner: -
--

CREATE FUNCTION ops.day_is_over(p_day date) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if (clock_timestamp() at time zone 'UTC')::date <= p_day then
        return false;
    end if;
    perform raw.take_writer();
    return true;
end
$$;

--
-- Name: FUNCTION day_is_over(p_day date); Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON FUNCTION ops.day_is_over(p_day date) IS 'Whether nothing more can be dated into a UTC day; waits for who is writing.';

--
-- Name: comment_edits; Type: TABLE; Schema: app; Owner: -
--

CREATE TABLE app.comment_edits (
    comment_no bigint NOT NULL,
    edited_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    content_before text NOT NULL
);

ALTER TABLE ONLY app.comment_edits FORCE ROW LEVEL SECURITY;

--
-- Name: TABLE comment_edits; Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON TABLE app.comment_edits IS 'What a comment said before each edit.';

--
-- Name: days_discussed(date); Type: FUNCTION; Schema: ops; Owner: -
--

CREATE FUNCTION ops.days_discussed(p_from date) RETURNS TABLE(market_no integer, day date)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    BEGIN ATOMIC
 SELECT c.market_no,
     ((c.created_at AT TIME ZONE 'UTC'::text))::date AS timezone
    FROM app.comments c
   WHERE (c.created_at >= ((days_discussed.p_from)::timestamp without time zone AT TIME ZONE 'UTC'::text))
 UNION
  SELECT c.market_no,
     ((c.deleted_at AT TIME ZONE 'UTC'::text))::date AS timezone
    FROM app.comments c
   WHERE (c.deleted_at >= ((days_discussed.p_from)::timestamp without time zone AT TIME ZONE 'UTC'::text))
 UNION
  SELECT c.market_no,
     ((e.edited_at AT TIME ZONE 'UTC'::text))::date AS timezone
    FROM (app.comment_edits e
      JOIN app.comments c ON ((e.comment_no = c.comment_no)))
   WHERE (e.edited_at >= ((days_discussed.p_from)::timestamp without time zone AT TIME ZONE 'UTC'::text));
END;

--
-- Name: FUNCTION days_discussed(p_from date); Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON FUNCTION ops.days_discussed(p_from date) IS 'The UTC days from p_from on that have something to snapshot, by market.';

--
-- Name: markets_seen; Type: TABLE; Schema: raw; Owner: -
--

CREATE TABLE raw.markets_seen (
    market_no integer NOT NULL,
    account text NOT NULL COLLATE pg_catalog."C",
    market_id text COLLATE pg_catalog."C",
    CONSTRAINT markets_seen_market_id_check CHECK ((market_id ~ '^[0-9a-f]{64}$'::text))
);

--
-- Name: TABLE markets_seen; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON TABLE raw.markets_seen IS 'One row per market account ever named. market_id is null while only WinningsClaimed, which carries the account alone, has named it (protocol.md 1.7).';

--
-- Name: discussion_on(date); Type: FUNCTION; Schema: ops; Owner: -
--

CREATE FUNCTION ops.discussion_on(p_day date) RETURNS TABLE(market_no integer, market_id text, comment_no bigint, parent_no bigint, user_wallet text, content text, created_at timestamp with time zone, edited_at timestamp with time zone, deleted_at timestamp with time zone)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    BEGIN ATOMIC
 WITH the_day AS (
          SELECT ((discussion_on.p_day)::timestamp without time zone AT TIME ZONE 'UTC'::text) AS begins,
             (((discussion_on.p_day + 1))::timestamp without time zone AT TIME ZONE 'UTC'::text) AS ends
         ), touched AS (
          SELECT c_1.comment_no
            FROM app.comments c_1,
             the_day d_1
           WHERE (((c_1.created_at >= d_1.begins) AND (c_1.created_at < d_1.ends)) OR ((c_1.deleted_at >= d_1.begins) AND (c_1.deleted_at < d_1.ends)))
         UNION
          SELECT e.comment_no
            FROM app.comment_edits e,
             the_day d_1
           WHERE ((e.edited_at >= d_1.begins) AND (e.edited_at < d_1.ends))
         )
  SELECT c.market_no,
     m.market_id,
     c.comment_no,
     c.parent_no,
     w.wallet,
         CASE
             WHEN (c.deleted_at < d.ends) THEN NULL::text
             ELSE COALESCE(later.content_before, c.content)
         END AS "coalesce",
     c.created_at,
     ( SELECT max(e.edited_at) AS max
            FROM app.comment_edits e
           WHERE ((e.comment_no = c.comment_no) AND (e.edited_at < d.ends))) AS max,
         CASE
             WHEN (c.deleted_at < d.ends) THEN c.deleted_at
             ELSE NULL::timestamp with time zone
         END AS "case"
    FROM (((((touched t
      JOIN app.comments c ON ((t.comment_no = c.comment_no)))
      JOIN raw.markets_seen m ON ((c.market_no = m.market_no)))
      JOIN raw.wallets_seen w ON ((c.wallet_no = w.wallet_no)))
      CROSS JOIN the_day d)
      LEFT JOIN LATERAL ( SELECT e.content_before
            FROM app.comment_edits e
           WHERE ((e.comment_no = c.comment_no) AND (e.edited_at >= d.ends))
           ORDER BY e.edited_at
          LIMIT 1) later ON (true))
   WHERE (m.market_id IS NOT NULL)
   ORDER BY c.market_no, c.comment_no;
END;

--
-- Name: FUNCTION discussion_on(p_day date); Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON FUNCTION ops.discussion_on(p_day date) IS 'Every comment that was written, edited or deleted on a UTC day, as it stood when the day was over. A day that is over answers the same for good.';

--
-- Name: leases; Type: TABLE; Schema: ops; Owner: -
--

CREATE TABLE ops.leases (
    name text NOT NULL COLLATE pg_catalog."C",
    holder text NOT NULL,
    epoch bigint DEFAULT 1 NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

--
-- Name: TABLE leases; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON TABLE ops.leases IS 'Who may act alone, and the epoch stamped into what they do.';

--
-- Name: give_lease(text, bigint); Type: FUNCTION; Schema: ops; Owner: -
--

CREATE FUNCTION ops.give_lease(p_name text, p_epoch bigint) RETURNS void
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    BEGIN ATOMIC
 UPDATE ops.leases SET expires_at = clock_timestamp()
   WHERE ((leases.name = give_lease.p_name) AND (leases.epoch = give_lease.p_epoch));
END;

--
-- Name: FUNCTION give_lease(p_name text, p_epoch bigint); Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON FUNCTION ops.give_lease(p_name text, p_epoch bigint) IS 'Let the next one begin.';

--
-- Name: keep_lease(text, bigint, double precision); Type: FUNCTION; Schema: ops; Owner: -
--

CREATE FUNCTION ops.keep_lease(p_name text, p_epoch bigint, p_seconds double precision) RETURNS boolean
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    BEGIN ATOMIC
 WITH kept AS (
          UPDATE ops.leases SET expires_at = (clock_timestamp() + make_interval(secs => keep_lease.p_seconds))
           WHERE ((leases.name = keep_lease.p_name) AND (leases.epoch = keep_lease.p_epoch) AND (leases.expires_at > clock_timestamp()))
           RETURNING true AS "?column?"
         )
  SELECT (EXISTS ( SELECT
            FROM kept)) AS "exists";
END;

--
-- Name: FUNCTION keep_lease(p_name text, p_epoch bigint, p_seconds double precision); Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON FUNCTION ops.keep_lease(p_name text, p_epoch bigint, p_seconds double precision) IS 'Hold it longer; false where it has passed to somebody else or run out.';

--
-- Name: open_intent(text, bigint, integer, text, jsonb, jsonb); Type: FUNCTION; Schema: ops; Owner: -
--

CREATE FUNCTION ops.open_intent(p_lease text, p_epoch bigint, p_market_no integer, p_action text, p_arguments jsonb, p_plan jsonb) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

--
-- Name: FUNCTION open_intent(p_lease text, p_epoch bigint, p_market_no integer, p_action text, p_arguments jsonb, p_plan jsonb); Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON FUNCTION ops.open_intent(p_lease text, p_epoch bigint, p_market_no integer, p_action text, p_arguments jsonb, p_plan jsonb) IS 'The intent for an action of a market, new or taken over from an earlier run that signed nothing; null while an open one stands in the way. ZM409 without the lease.';

--
-- Name: raise_alert(text, text, text, text); Type: FUNCTION; Schema: ops; Owner: -
--

CREATE FUNCTION ops.raise_alert(p_kind text, p_subject text, p_severity text, p_message text) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    BEGIN ATOMIC
 INSERT INTO ops.alerts AS a (kind, subject, severity, message)
   VALUES (raise_alert.p_kind, raise_alert.p_subject, raise_alert.p_severity, raise_alert.p_message) ON CONFLICT(kind, subject)
   WHERE (resolved_at IS NULL) DO UPDATE SET occurrences = (a.occurrences + 1), last_at = clock_timestamp(), message = excluded.message
   RETURNING a.alert_no;
END;

--
-- Name: FUNCTION raise_alert(p_kind text, p_subject text, p_severity text, p_message text); Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON FUNCTION ops.raise_alert(p_kind text, p_subject text, p_severity text, p_message text) IS 'Open an alert, or count one more occurrence of the open one.';

--
-- Name: intents; Type: TABLE; Schema: ops; Owner: -
--

CREATE TABLE ops.intents (
    intent_no bigint NOT NULL,
    market_no integer NOT NULL,
    action text NOT NULL COLLATE pg_catalog."C",
    arguments jsonb DEFAULT '{}'::jsonb NOT NULL,
    plan jsonb NOT NULL,
    lease_epoch bigint NOT NULL,
    state text DEFAULT 'planned'::text NOT NULL COLLATE pg_catalog."C",
    attempts integer DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    closed_at timestamp with time zone,
    outcome jsonb,
    CONSTRAINT intents_state_check CHECK ((state = ANY (ARRAY['planned'::text, 'sent'::text, 'landed'::text, 'done'::text, 'refused'::text, 'quarantined'::text, 'reopened'::text])))
);

--
-- Name: TABLE intents; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON TABLE ops.intents IS 'One row per action a keeper decided on; open until our own log shows its event, finalized.';

--
-- Name: COLUMN intents.plan; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.intents.plan IS 'What was known and proven when it was decided.';

--
-- Name: COLUMN intents.state; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.intents.state IS 'planned: decided, nothing signed that could land. sent: signed bytes are stored and may land. landed: a node says so; our log does not yet, or not finally. done: our log holds the event, finalized. refused: given up for a reason. quarantined: three attempts failed, a person looks. reopened: it was done and the chain took it back.';

--
-- Name: COLUMN intents.attempts; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.intents.attempts IS 'Submissions that ended without success.';

--
-- Name: COLUMN intents.outcome; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.intents.outcome IS 'How it ended, or what last kept it from ending: kind, words, signature.';

--
-- Name: submissions; Type: TABLE; Schema: ops; Owner: -
--

CREATE TABLE ops.submissions (
    signature text NOT NULL COLLATE pg_catalog."C",
    intent_no bigint NOT NULL,
    transaction_bytes bytea NOT NULL,
    last_valid_block_height bigint NOT NULL,
    stored_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    sent_at timestamp with time zone,
    ended_at timestamp with time zone,
    ending text COLLATE pg_catalog."C",
    fee_lamports bigint DEFAULT 0 NOT NULL,
    payer text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    lease_epoch bigint DEFAULT 0 NOT NULL,
    units integer DEFAULT 0 NOT NULL,
    slot bigint,
    outcome jsonb,
    CONSTRAINT submissions_ending_check CHECK ((ending = ANY (ARRAY['landed'::text, 'failed'::text, 'expired'::text]))),
    CONSTRAINT submissions_fee_lamports_check CHECK ((fee_lamports >= 0))
);

--
-- Name: TABLE submissions; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON TABLE ops.submissions IS 'Signed bytes, stored before they are sent.';

--
-- Name: COLUMN submissions.ending; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.submissions.ending IS 'landed: succeeded on chain. failed: on chain, finalized, and refused there. expired: can never land. Null: may still land.';

--
-- Name: COLUMN submissions.fee_lamports; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.submissions.fee_lamports IS 'What landing costs its payer, priority included.';

--
-- Name: COLUMN submissions.slot; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.submissions.slot IS 'Where a node said that it landed.';

--
-- Name: release_intent(bigint, text); Type: FUNCTION; Schema: ops; Owner: -
--

CREATE FUNCTION ops.release_intent(p_intent_no bigint, p_who text) RETURNS boolean
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    BEGIN ATOMIC
 WITH released AS (
          UPDATE ops.intents SET state = 'refused'::text, closed_at = clock_timestamp(), outcome = jsonb_build_object('kind', 'released', 'words', (('Released by '::text || release_intent.p_who) || '.'::text), 'before', intents.outcome)
           WHERE ((intents.intent_no = release_intent.p_intent_no) AND (intents.state = 'quarantined'::text) AND (NOT (EXISTS ( SELECT
                    FROM ops.submissions s
                   WHERE ((s.intent_no = release_intent.p_intent_no) AND (s.ending IS NULL))))))
           RETURNING true AS "?column?"
         )
  SELECT (EXISTS ( SELECT
            FROM released)) AS "exists";
END;

--
-- Name: FUNCTION release_intent(p_intent_no bigint, p_who text); Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON FUNCTION ops.release_intent(p_intent_no bigint, p_who text) IS 'A person has looked: the next plan may begin anew. False where it is not quarantined, or something of it may still land.';

--
-- Name: transactions; Type: TABLE; Schema: raw; Owner: -
--

CREATE TABLE raw.transactions (
    transaction_no bigint NOT NULL,
    signature text NOT NULL COLLATE pg_catalog."C",
    slot bigint NOT NULL,
    index_in_block integer,
    order_settled boolean NOT NULL,
    block_time timestamp with time zone,
    err text,
    fee_lamports numeric(20,0),
    body bytea,
    digest bytea NOT NULL,
    sightings jsonb DEFAULT '{}'::jsonb NOT NULL,
    first_seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    retracted_at timestamp with time zone,
    bundle_no bigint,
    bundle_start integer,
    bundle_length integer,
    CONSTRAINT transactions_index_in_block_check CHECK (((index_in_block >= 0) AND (index_in_block <= 32767))),
    CONSTRAINT transactions_slot_check CHECK ((slot >= 0))
);
ALTER TABLE ONLY raw.transactions ALTER COLUMN body SET STORAGE EXTERNAL;

--
-- Name: TABLE transactions; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON TABLE raw.transactions IS 'One row per signature: what was delivered, byte for byte.';

--
-- Name: COLUMN transactions.index_in_block; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON COLUMN raw.transactions.index_in_block IS 'Null while unknown; the order of its events is then provisional.';

--
-- Name: COLUMN transactions.body; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON COLUMN raw.transactions.body IS 'The delivered JSON by itself, zlib-compressed, where it is in no bundle. bytea, because a log line may hold U+0000, which jsonb cannot. May age out.';

--
-- Name: COLUMN transactions.digest; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON COLUMN raw.transactions.digest IS 'SHA-256 of (slot, err, log lines): two deliveries are duplicates when these agree.';

--
-- Name: COLUMN transactions.sightings; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON COLUMN raw.transactions.sightings IS 'How often each source has delivered it, for example {"webhook": 2}.';

--
-- Name: COLUMN transactions.bundle_no; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON COLUMN raw.transactions.bundle_no IS 'The row of raw.bundles that holds the delivered JSON; null where body does. No foreign key, because bundles may age out.';

--
-- Name: COLUMN transactions.bundle_start; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON COLUMN raw.transactions.bundle_start IS 'Where it begins, in bytes of the decompressed bundle.';

--
-- Name: COLUMN transactions.bundle_length; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON COLUMN raw.transactions.bundle_length IS 'How many bytes it has.';

--
-- Name: reopen_retracted(); Type: FUNCTION; Schema: ops; Owner: -
--

CREATE FUNCTION ops.reopen_retracted() RETURNS SETOF bigint
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    BEGIN ATOMIC
 WITH gone AS (
          SELECT i_1.intent_no,
             s.signature
            FROM ((ops.intents i_1
              JOIN ops.submissions s ON (((i_1.intent_no = s.intent_no) AND (s.ending = 'landed'::text))))
              JOIN raw.transactions t ON ((s.signature = t.signature)))
           WHERE ((i_1.state = ANY (ARRAY['done'::text, 'landed'::text])) AND (t.retracted_at IS NOT NULL) AND (NOT (EXISTS ( SELECT
                    FROM ops.intents o
                   WHERE ((o.market_no = i_1.market_no) AND (o.action = i_1.action) AND (o.intent_no <> i_1.intent_no) AND (o.state = ANY (ARRAY['planned'::text, 'sent'::text, 'landed'::text, 'reopened'::text, 'quarantined'::text])))))))
         ), undone AS (
          UPDATE ops.submissions s SET ending = NULL::text, ended_at = NULL::timestamp with time zone
            FROM gone gone_1
           WHERE (s.signature = gone_1.signature)
         )
  UPDATE ops.intents i SET state = 'reopened'::text, closed_at = NULL::timestamp with time zone
    FROM gone
   WHERE (i.intent_no = gone.intent_no)
   RETURNING i.intent_no;
END;

--
-- Name: FUNCTION reopen_retracted(); Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON FUNCTION ops.reopen_retracted() IS 'Open again what was done by a transaction that the chain has since been proven not to hold. Its bytes count as able to land until they are proven dead once more.';

--
-- Name: require_lease(text, bigint); Type: FUNCTION; Schema: ops; Owner: -
--

CREATE FUNCTION ops.require_lease(p_name text, p_epoch bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    perform from ops.leases
    where name = p_name and epoch = p_epoch and expires_at > clock_timestamp()
    for update;
    if not found then
        raise exception 'the lease % of epoch % is not held any more', p_name, p_epoch using errcode = 'ZM409';
    end if;
end
$$;

--
-- Name: FUNCTION require_lease(p_name text, p_epoch bigint); Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON FUNCTION ops.require_lease(p_name text, p_epoch bigint) IS 'ZM409 unless the epoch holds the lease; locks its row, so that everything under it happens one after another.';

--
-- Name: resolve_alert(text, text); Type: FUNCTION; Schema: ops; Owner: -
--

CREATE FUNCTION ops.resolve_alert(p_kind text, p_subject text) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    BEGIN ATOMIC
 UPDATE ops.alerts SET resolved_at = clock_timestamp()
   WHERE ((alerts.kind = resolve_alert.p_kind) AND (alerts.subject = resolve_alert.p_subject) AND (alerts.resolved_at IS NULL));
END;

--
-- Name: FUNCTION resolve_alert(p_kind text, p_subject text); Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON FUNCTION ops.resolve_alert(p_kind text, p_subject text) IS 'Close the open alert of this kind and subject, if there is one.';

--
-- Name: store_submission(text, bigint, bigint, text, bytea, bigint, text, bigint, integer, bigint); Type: FUNCTION; Schema: ops; Owner: -
--

CREATE FUNCTION ops.store_submission(p_lease text, p_epoch bigint, p_intent_no bigint, p_signature text, p_bytes bytea, p_last_valid_block_height bigint, p_payer text, p_fee_lamports bigint, p_units integer, p_budget_lamports bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

--
-- Name: FUNCTION store_submission(p_lease text, p_epoch bigint, p_intent_no bigint, p_signature text, p_bytes bytea, p_last_valid_block_height bigint, p_payer text, p_fee_lamports bigint, p_units integer, p_budget_lamports bigint); Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON FUNCTION ops.store_submission(p_lease text, p_epoch bigint, p_intent_no bigint, p_signature text, p_bytes bytea, p_last_valid_block_height bigint, p_payer text, p_fee_lamports bigint, p_units integer, p_budget_lamports bigint) IS 'Keep signed bytes before they leave. ZM409 without the lease or where the intent is not planned under it, ZM429 beyond the day''s budget (UTC, fees of all submissions that landed or may), unique_violation while another submission of the intent may land.';

--
-- Name: take_lease(text, text, double precision); Type: FUNCTION; Schema: ops; Owner: -
--

CREATE FUNCTION ops.take_lease(p_name text, p_holder text, p_seconds double precision) RETURNS bigint
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    BEGIN ATOMIC
 INSERT INTO ops.leases AS l (name, holder, expires_at)
   VALUES (take_lease.p_name, take_lease.p_holder, (clock_timestamp() + make_interval(secs => take_lease.p_seconds))) ON CONFLICT(name) DO UPDATE SET holder = excluded.holder, epoch = (l.epoch + 1), expires_at = excluded.expires_at
   WHERE (l.expires_at <= clock_timestamp())
   RETURNING l.epoch;
END;

--
-- Name: FUNCTION take_lease(p_name text, p_holder text, p_seconds double precision); Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON FUNCTION ops.take_lease(p_name text, p_holder text, p_seconds double precision) IS 'The epoch under which the caller may act alone, or null while somebody else may.';

--
-- Name: append(text, text[], bigint[], integer[], bigint[], text[], text[], bytea[], integer[], bytea[], integer[], integer[], integer[], integer[], text[], bigint[], integer[], text[], bigint[], jsonb[], jsonb[], integer[], text[], text[], integer[], text[], text[]); Type: FUNCTION; Schema: raw; Owner: -
--

CREATE FUNCTION raw.append(p_source text, p_signatures text[], p_slots bigint[], p_indexes integer[], p_block_times bigint[], p_errs text[], p_fees text[], p_digests bytea[], p_sightings integer[], p_bundles bytea[], p_bundled integer[], p_starts integer[], p_lengths integer[], p_owners integer[], p_event_signatures text[], p_order_keys bigint[], p_ordinals integer[], p_names text[], p_clocks bigint[], p_payloads jsonb[], p_contexts jsonb[], p_market_nos integer[], p_accounts text[], p_market_ids text[], p_wallet_nos integer[], p_wallets text[], p_wanted text[], OUT o_head bigint, OUT o_last bigint, OUT o_events integer, OUT o_fresh integer[], OUT o_differing integer[], OUT o_aside integer, OUT o_accounts text[], OUT o_market_nos integer[], OUT o_identified boolean[], OUT o_wallets text[], OUT o_wallet_nos integer[], OUT o_lock_wait_seconds double precision, OUT o_folds_seconds double precision, OUT o_lock_held_seconds double precision) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET max_parallel_workers_per_gather TO '0'
    AS $$
declare
    v_began timestamptz := clock_timestamp();
    v_taken timestamptz;
    v_folding timestamptz;
    v_known int [];
    v_aside int [];
    v_numbers bigint [];
    v_final bigint;
    v_bundle bigint;
    v_back record;
    v_left bigint [] := '{}';
begin
    lock table raw.writer in exclusive mode;
    v_taken := clock_timestamp();
    select coalesce(max(f.seq), 0) into o_head from raw.feed as f;

    select array_agg(g.position::int) into v_known
    from unnest(p_signatures) with ordinality as g (signature, position)
    inner join raw.transactions as t on t.signature = g.signature;

    -- A delivery for slots that are final already must come from the chain: what is new there is fetched instead.
    if p_source = 'webhook' then
        v_final := raw.finalized_through();
        select array_agg(g.position::int) into v_aside
        from unnest(p_slots) with ordinality as g (slot, position)
        where g.slot <= v_final and not g.position = any(coalesce(v_known, '{}'));
    end if;
    o_aside := coalesce(cardinality(v_aside), 0);

    select coalesce(array_agg(g.number order by g.position), '{}') into v_numbers
    from (
        select
            n as position,
            case
                when not is_left_out then (select coalesce(max(t.transaction_no), 0) from raw.transactions as t)
                    + row_number() over (partition by is_left_out order by n)
                else 0
            end as number
        from generate_series(1, cardinality(p_signatures)) as n
        cross join lateral (select coalesce(n = any(v_known || v_aside), false) as is_left_out) as left_out
    ) as g;

    select coalesce(max(b.bundle_no), 0) into v_bundle from raw.bundles as b;
    insert into raw.bundles (bundle_no, content)
    select v_bundle + g.position, g.content
    from unnest(p_bundles) with ordinality as g (content, position)
    where g.position = any(array(
        select distinct b.bundled
        from unnest(p_bundled) with ordinality as b (bundled, position)
        where v_numbers[b.position] > 0
    ));

    insert into raw.transactions (
        transaction_no, signature, slot, index_in_block, order_settled, block_time, err, fee_lamports, digest, sightings,
        bundle_no, bundle_start, bundle_length
    )
    select
        v_numbers[g.position], g.signature, g.slot, g.index_in_block, g.index_in_block is not null,
        to_timestamp(g.block_time), g.err, g.fee::numeric, g.digest, jsonb_build_object(p_source, g.sightings),
        v_bundle + g.bundled, g.start, g.length
    from unnest(
        p_signatures, p_slots, p_indexes, p_block_times, p_errs, p_fees, p_digests, p_sightings,
        p_bundled, p_starts, p_lengths
    ) with ordinality as g (
        signature, slot, index_in_block, block_time, err, fee, digest, sightings, bundled, start, length, position
    )
    where v_numbers[g.position] > 0
    order by g.position;

    -- Known ones are counted; what was retracted and landed again is opened again, what differs is told to the writer.
    if v_known is not null then
        for v_back in
            select g.position::int as position, t.transaction_no, t.digest = g.digest as is_same, t.retracted_at is not null as is_retracted
            from unnest(p_signatures, p_digests) with ordinality as g (signature, digest, position)
            inner join raw.transactions as t on t.signature = g.signature
            where g.position = any(v_known)
        loop
            update raw.transactions as t
            set
                sightings = jsonb_set(
                    t.sightings, array[p_source],
                    to_jsonb(coalesce((t.sightings ->> p_source)::int, 0) + p_sightings[v_back.position])
                ),
                retracted_at = case when v_back.is_same then null else t.retracted_at end
            where t.transaction_no = v_back.transaction_no;
            if not v_back.is_same then
                o_differing := o_differing || v_back.position;
            elsif v_back.is_retracted then
                v_numbers[v_back.position] := v_back.transaction_no;
                -- It keeps the place that is known of it, which this delivery may not know.
                v_left := v_left || p_slots[v_back.position];
            end if;
        end loop;
    end if;
    select array_agg(g.position::int order by g.position) into o_fresh
    from unnest(v_numbers) with ordinality as g (number, position)
    where g.number > 0;

    delete from raw.wanted as w
    using unnest(p_signatures) with ordinality as g (signature, position)
    where w.signature = g.signature and w.reason <> 'differs' and not g.position = any(coalesce(v_aside, '{}'));
    insert into raw.wanted (signature, reason)
    select given.signature, format('named by %s without logs', p_source)
    from (
        select w.signature from unnest(p_wanted) as w (signature)
        union
        select p_signatures[a.position] from unnest(v_aside) as a (position)
    ) as given
    where not exists (select from raw.transactions as t where t.signature = given.signature)
    on conflict (signature) do nothing;

    select * into o_events, o_accounts, o_market_nos, o_identified, o_wallets, o_wallet_nos
    from raw.append_events(
        v_numbers, v_left, p_owners, p_event_signatures, p_order_keys, p_ordinals, p_names, p_clocks, p_payloads, p_contexts,
        p_market_nos, p_accounts, p_market_ids, p_wallet_nos, p_wallets
    );

    select coalesce(max(f.seq), 0) into o_last from raw.feed as f;
    v_folding := clock_timestamp();
    if o_last > o_head then
        perform folds.fold(o_head, o_last);
        notify zmart_feed;
    end if;
    o_lock_wait_seconds := extract(epoch from v_taken - v_began);
    o_folds_seconds := extract(epoch from clock_timestamp() - v_folding);
    o_lock_held_seconds := extract(epoch from clock_timestamp() - v_taken);
end
$$;

--
-- Name: FUNCTION append(p_source text, p_signatures text[], p_slots bigint[], p_indexes integer[], p_block_times bigint[], p_errs text[], p_fees text[], p_digests bytea[], p_sightings integer[], p_bundles bytea[], p_bundled integer[], p_starts integer[], p_lengths integer[], p_owners integer[], p_event_signatures text[], p_order_keys bigint[], p_ordinals integer[], p_names text[], p_clocks bigint[], p_payloads jsonb[], p_contexts jsonb[], p_market_nos integer[], p_accounts text[], p_market_ids text[], p_wallet_nos integer[], p_wallets text[], p_wanted text[], OUT o_head bigint, OUT o_last bigint, OUT o_events integer, OUT o_fresh integer[], OUT o_differing integer[], OUT o_aside integer, OUT o_accounts text[], OUT o_market_nos integer[], OUT o_identified boolean[], OUT o_wallets text[], OUT o_wallet_nos integer[], OUT o_lock_wait_seconds double precision, OUT o_folds_seconds double precision, OUT o_lock_held_seconds double precision); Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON FUNCTION raw.append(p_source text, p_signatures text[], p_slots bigint[], p_indexes integer[], p_block_times bigint[], p_errs text[], p_fees text[], p_digests bytea[], p_sightings integer[], p_bundles bytea[], p_bundled integer[], p_starts integer[], p_lengths integer[], p_owners integer[], p_event_signatures text[], p_order_keys bigint[], p_ordinals integer[], p_names text[], p_clocks bigint[], p_payloads jsonb[], p_contexts jsonb[], p_market_nos integer[], p_accounts text[], p_market_ids text[], p_wallet_nos integer[], p_wallets text[], p_wanted text[], OUT o_head bigint, OUT o_last bigint, OUT o_events integer, OUT o_fresh integer[], OUT o_differing integer[], OUT o_aside integer, OUT o_accounts text[], OUT o_market_nos integer[], OUT o_identified boolean[], OUT o_wallets text[], OUT o_wallet_nos integer[], OUT o_lock_wait_seconds double precision, OUT o_folds_seconds double precision, OUT o_lock_held_seconds double precision) IS 'Take the writer''s lock, store what is new, fold it and ring; the caller commits. Known transactions are counted, retracted ones that landed again reopened; a webhook for slots that are final is wanted from the chain instead of believed.';

--
-- Name: append_events(bigint[], bigint[], integer[], text[], bigint[], integer[], text[], bigint[], jsonb[], jsonb[], integer[], text[], text[], integer[], text[]); Type: FUNCTION; Schema: raw; Owner: -
--

CREATE FUNCTION raw.append_events(p_numbers bigint[], p_left bigint[], p_owners integer[], p_signatures text[], p_order_keys bigint[], p_ordinals integer[], p_names text[], p_clocks bigint[], p_payloads jsonb[], p_contexts jsonb[], p_market_nos integer[], p_accounts text[], p_market_ids text[], p_wallet_nos integer[], p_wallets text[], OUT o_events integer, OUT o_accounts text[], OUT o_market_nos integer[], OUT o_identified boolean[], OUT o_wallets text[], OUT o_wallet_nos integer[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    SET max_parallel_workers_per_gather TO '0'
    AS $$
declare
    v_head bigint;
    v_slots bigint [];
begin
    if cardinality(array_remove(p_accounts, null)) > 0 then
        insert into raw.markets_seen (market_no, account, market_id)
        select
            (select coalesce(max(m.market_no), 0) from raw.markets_seen as m) + row_number() over (order by named.first_at),
            named.account, named.market_id
        from (
            select g.account, max(g.market_id) as market_id, min(g.position) as first_at
            from unnest(p_accounts, p_market_ids, p_owners) with ordinality as g (account, market_id, owner, position)
            where g.account is not null and p_numbers[g.owner] > 0
            group by g.account
        ) as named
        where not exists (select from raw.markets_seen as m where m.account = named.account);

        -- An account that so far only claims had named (protocol.md 1.7): its earlier events now say more than they did.
        with identified as (
            update raw.markets_seen as m set market_id = named.market_id
            from (
                select distinct g.account, g.market_id
                from unnest(p_accounts, p_market_ids, p_owners) as g (account, market_id, owner)
                where g.account is not null and g.market_id is not null and p_numbers[g.owner] > 0
            ) as named
            where m.account = named.account and m.market_id is null
            returning m.market_no
        )
        insert into raw.feed (seq, kind, ref, market_no, wallet_no)
        select
            (select coalesce(max(f.seq), 0) from raw.feed as f) + row_number() over (order by e.seq),
            'moved', e.seq, e.market_no, e.wallet_no
        from identified
        inner join raw.events as e on e.market_no = identified.market_no
        where e.retracted_at is null;

        select array_agg(m.account), array_agg(m.market_no), array_agg(m.market_id is not null)
        into o_accounts, o_market_nos, o_identified
        from raw.markets_seen as m
        where m.account = any(p_accounts);
    end if;

    if cardinality(array_remove(p_wallets, null)) > 0 then
        insert into raw.wallets_seen (wallet_no, wallet)
        select
            (select coalesce(max(w.wallet_no), 0) from raw.wallets_seen as w) + row_number() over (order by named.first_at),
            named.wallet
        from (
            select g.wallet, min(g.position) as first_at
            from unnest(p_wallets, p_owners) with ordinality as g (wallet, owner, position)
            where g.wallet is not null and p_numbers[g.owner] > 0
            group by g.wallet
        ) as named
        where not exists (select from raw.wallets_seen as w where w.wallet = named.wallet);

        select array_agg(w.wallet), array_agg(w.wallet_no) into o_wallets, o_wallet_nos
        from raw.wallets_seen as w
        where w.wallet = any(p_wallets);
    end if;

    select coalesce(max(f.seq), 0) into v_head from raw.feed as f;
    with appended as (
        insert into raw.events (
            seq, order_key, transaction_no, ordinal, name, market_no, wallet_no, clock, signature, payload, context
        )
        select
            v_head + row_number() over (order by g.position),
            g.order_key, p_numbers[g.owner], g.ordinal, g.name,
            coalesce(g.market_no, (select m.market_no from raw.markets_seen as m where m.account = g.account)),
            coalesce(g.wallet_no, (select w.wallet_no from raw.wallets_seen as w where w.wallet = g.wallet)),
            g.clock, g.signature, g.payload, g.context
        from unnest(
            p_owners, p_signatures, p_order_keys, p_ordinals, p_names, p_clocks, p_payloads, p_contexts,
            p_market_nos, p_accounts, p_wallet_nos, p_wallets
        ) with ordinality as g (
            owner, signature, order_key, ordinal, name, clock, payload, context,
            market_no, account, wallet_no, wallet, position
        )
        where p_numbers[g.owner] > 0
        order by g.position
        returning seq, market_no, wallet_no
    )
    insert into raw.feed (seq, kind, market_no, wallet_no)
    select appended.seq, 'event', appended.market_no, appended.wallet_no
    from appended;
    get diagnostics o_events = row_count;

    if o_events > 0 then
        v_slots := raw.colliding(v_head);
    end if;
    v_slots := p_left || v_slots;
    if cardinality(v_slots) > 0 then
        perform raw.separate(v_slots);
    end if;
end
$$;

--
-- Name: FUNCTION append_events(p_numbers bigint[], p_left bigint[], p_owners integer[], p_signatures text[], p_order_keys bigint[], p_ordinals integer[], p_names text[], p_clocks bigint[], p_payloads jsonb[], p_contexts jsonb[], p_market_nos integer[], p_accounts text[], p_market_ids text[], p_wallet_nos integer[], p_wallets text[], OUT o_events integer, OUT o_accounts text[], OUT o_market_nos integer[], OUT o_identified boolean[], OUT o_wallets text[], OUT o_wallet_nos integer[]); Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON FUNCTION raw.append_events(p_numbers bigint[], p_left bigint[], p_owners integer[], p_signatures text[], p_order_keys bigint[], p_ordinals integer[], p_names text[], p_clocks bigint[], p_payloads jsonb[], p_contexts jsonb[], p_market_nos integer[], p_accounts text[], p_market_ids text[], p_wallet_nos integer[], p_wallets text[], OUT o_events integer, OUT o_accounts text[], OUT o_market_nos integer[], OUT o_identified boolean[], OUT o_wallets text[], OUT o_wallet_nos integer[]) IS 'Number the newcomers among markets and wallets, append events with their feed rows, give colliding ones places of their own. For raw.append and for the writer that replaces a transaction; call it holding raw.writer, fold afterwards.';

--
-- Name: colliding(bigint); Type: FUNCTION; Schema: raw; Owner: -
--

CREATE FUNCTION raw.colliding(p_after bigint) RETURNS bigint[]
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT array_agg(DISTINCT (fresh.order_key >> 24)) AS array_agg
    FROM raw.events fresh
   WHERE ((fresh.seq > colliding.p_after) AND (EXISTS ( SELECT
            FROM raw.events other
           WHERE ((other.order_key >= ((fresh.order_key >> 9) << 9)) AND (other.order_key < (((fresh.order_key >> 9) + 1) << 9)) AND (other.transaction_no <> fresh.transaction_no) AND (other.retracted_at IS NULL)))));
END;

--
-- Name: FUNCTION colliding(p_after bigint); Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON FUNCTION raw.colliding(p_after bigint) IS 'Slots in which an event after this seq stands at a place that another transaction has too, or null.';

--
-- Name: finalized_through(); Type: FUNCTION; Schema: raw; Owner: -
--

CREATE FUNCTION raw.finalized_through() RETURNS bigint
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
 SELECT max(f.ref) AS max
    FROM raw.feed f
   WHERE (f.kind = 'finalized_through'::text);
END;

--
-- Name: FUNCTION finalized_through(); Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON FUNCTION raw.finalized_through() IS 'The slot up to which the finalized chain and this log hold the same; null before the first proof.';

--
-- Name: keep_statistics(); Type: FUNCTION; Schema: raw; Owner: -
--

CREATE FUNCTION raw.keep_statistics() RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '100ms'
    AS $$
declare
    v_table regclass;
    v_analyzed int := 0;
begin
    for v_table in
        select c.oid::regclass
        from pg_class as c
        inner join pg_namespace as n on n.oid = c.relnamespace
        where
            n.nspname in ('raw', 'marts') and c.relkind = 'r'
            and pg_relation_size(c.oid) > 4 * c.relpages::bigint * current_setting('block_size')::int
    loop
        begin
            execute format('analyze %s', v_table);
            v_analyzed := v_analyzed + 1;
        exception when lock_not_available then
            -- Somebody is at it already, autovacuum most likely.
            continue;
        end;
    end loop;
    return v_analyzed;
end
$$;

--
-- Name: FUNCTION keep_statistics(); Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON FUNCTION raw.keep_statistics() IS 'Analyze the tables of log and marts that have outgrown their statistics fourfold; how many. For the writer of a young log, beside its lock.';

--
-- Name: market_number(text); Type: FUNCTION; Schema: raw; Owner: -
--

CREATE FUNCTION raw.market_number(p_market text) RETURNS integer
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT m.market_no
    FROM raw.markets_seen m
   WHERE ((m.market_id = market_number.p_market) OR (m.account = market_number.p_market));
END;

--
-- Name: FUNCTION market_number(p_market text); Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON FUNCTION raw.market_number(p_market text) IS 'Number of a market named by its 64-hex id or its account, or null.';

--
-- Name: next_seq(); Type: FUNCTION; Schema: raw; Owner: -
--

CREATE FUNCTION raw.next_seq() RETURNS bigint
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT (COALESCE(max(f.seq), (0)::bigint) + 1)
    FROM raw.feed f;
END;

--
-- Name: FUNCTION next_seq(); Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON FUNCTION raw.next_seq() IS 'The seq the next fact will have. True only for whoever holds raw.writer.';

--
-- Name: provisional_index(text); Type: FUNCTION; Schema: raw; Owner: -
--

CREATE FUNCTION raw.provisional_index(p_signature text) RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN (((('x'::text || substr(encode(sha256(convert_to(p_signature, 'UTF8'::name)), 'hex'::text), 1, 4)))::bit(16))::integer & 32767);

--
-- Name: FUNCTION provisional_index(p_signature text); Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON FUNCTION raw.provisional_index(p_signature text) IS 'Where a transaction stands in its block while its index is unknown: the same for every delivery of it.';

--
-- Name: renew_identity(); Type: FUNCTION; Schema: raw; Owner: -
--

CREATE FUNCTION raw.renew_identity() RETURNS uuid
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_epoch uuid;
begin
    insert into raw.identity (system_identifier, timeline, database_oid, feed_oid)
    select s.system_identifier, c.timeline_id, d.oid, 'raw.feed'::regclass::oid
    from pg_control_system() as s, pg_control_checkpoint() as c, pg_database as d
    where d.datname = current_database()
    on conflict (only_row) do update
    set epoch = gen_random_uuid(), system_identifier = excluded.system_identifier,
        timeline = excluded.timeline, database_oid = excluded.database_oid, feed_oid = excluded.feed_oid,
        began_at = clock_timestamp()
    where
        (identity.system_identifier, identity.timeline, identity.database_oid, identity.feed_oid)
        is distinct from (excluded.system_identifier, excluded.timeline, excluded.database_oid, excluded.feed_oid);
    select epoch into v_epoch from raw.identity;
    return v_epoch;
end
$$;

--
-- Name: FUNCTION renew_identity(); Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON FUNCTION raw.renew_identity() IS 'The epoch of this log; a new one in another database, on another server, or after a restore. Called at each deploy.';

--
-- Name: separate(bigint[]); Type: FUNCTION; Schema: raw; Owner: -
--

CREATE FUNCTION raw.separate(p_slots bigint[]) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_rows bigint;
begin
    with live as materialized (
        select
            t.transaction_no, t.slot, t.signature, t.order_settled,
            coalesce(t.index_in_block, raw.provisional_index(t.signature)) as claimed
        from raw.transactions as t
        where
            t.slot = any(p_slots) and t.retracted_at is null and t.err is null
            and exists (select from raw.events as e where e.transaction_no = t.transaction_no and e.retracted_at is null)
    ),
    ranked as (
        select live.*, row_number() over (partition by slot, claimed order by order_settled desc, signature) as turn
        from live
    ),
    losers as (
        select transaction_no, slot, row_number() over (partition by slot order by claimed, order_settled desc, signature) as n
        from ranked
        where turn > 1
    ),
    -- As many places as there are transactions hold at least as many free ones as there are losers.
    ends as (
        select live.slot, count(*)::int as transactions
        from live
        where live.slot in (select losers.slot from losers)
        group by live.slot
    ),
    free as (
        select ends.slot, given.place, row_number() over (partition by ends.slot order by given.place desc) as n
        from ends
        cross join lateral generate_series(greatest(32768 - ends.transactions, 0), 32767) as given (place)
        where not exists (select from live where live.slot = ends.slot and live.claimed = given.place)
    ),
    places as (
        select transaction_no, slot, claimed as place from ranked where turn = 1
        union all
        select losers.transaction_no, losers.slot, free.place
        from losers
        inner join free on losers.slot = free.slot and losers.n = free.n
    ),
    moved as (
        update raw.events as e
        set order_key = (places.slot << 24) | (places.place::bigint << 9) | e.ordinal
        from places
        where
            e.transaction_no = places.transaction_no and e.retracted_at is null
            and e.order_key <> (places.slot << 24) | (places.place::bigint << 9) | e.ordinal
        returning e.seq, e.market_no, e.wallet_no, places.slot
    ),
    -- A configuration that moves can change the fees of everything in its slot.
    touched as (
        select moved.seq, moved.market_no, moved.wallet_no from moved
        union
        select e.seq, e.market_no, e.wallet_no
        from (select distinct moved.slot from moved where moved.market_no is null) as config
        inner join raw.events as e on e.order_key >= config.slot << 24 and e.order_key < (config.slot + 1) << 24
        where e.retracted_at is null
    )
    insert into raw.feed (seq, kind, ref, market_no, wallet_no)
    select
        (select coalesce(max(f.seq), 0) from raw.feed as f) + row_number() over (order by touched.seq),
        'moved', touched.seq, touched.market_no, touched.wallet_no
    from touched;
    get diagnostics v_rows = row_count;
    return v_rows;
end
$$;

--
-- Name: FUNCTION separate(p_slots bigint[]); Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON FUNCTION raw.separate(p_slots bigint[]) IS 'Give every transaction of these slots that counts a place of its own, and say in the feed what moved; how many rows. For the writer, under its lock, before folds.';

--
-- Name: take_writer(); Type: FUNCTION; Schema: raw; Owner: -
--

CREATE FUNCTION raw.take_writer() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    set local lock_timeout = '5s';
    lock table raw.writer in exclusive mode;
end
$$;

--
-- Name: FUNCTION take_writer(); Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON FUNCTION raw.take_writer() IS 'Wait for the right to append, at most five seconds.';

--
-- Name: coverage; Type: TABLE; Schema: raw; Owner: -
--

CREATE TABLE raw.coverage (
    source text NOT NULL COLLATE pg_catalog."C",
    from_slot bigint NOT NULL,
    to_slot bigint NOT NULL,
    successful_transactions bigint NOT NULL,
    digest bytea NOT NULL,
    proven_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT coverage_check CHECK ((from_slot <= to_slot))
);

--
-- Name: TABLE coverage; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON TABLE raw.coverage IS 'Slot ranges proven complete, per source, with the count and digest of their successful signatures.';

--
-- Name: verified_through(); Type: FUNCTION; Schema: raw; Owner: -
--

CREATE FUNCTION raw.verified_through() RETURNS bigint
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
 SELECT max(c.to_slot) AS max
    FROM raw.coverage c
   WHERE (c.source = 'walk'::text);
END;

--
-- Name: FUNCTION verified_through(); Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON FUNCTION raw.verified_through() IS 'The slot up to which nothing the confirmed chain lists is missing here; null before the first walk.';

--
-- Name: wallet_number(text); Type: FUNCTION; Schema: raw; Owner: -
--

CREATE FUNCTION raw.wallet_number(p_wallet text) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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

--
-- Name: FUNCTION wallet_number(p_wallet text); Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON FUNCTION raw.wallet_number(p_wallet text) IS 'Number of a wallet, handed out on first sight. Call it holding raw.writer.';

--
-- Name: want(text[], text, bigint[]); Type: FUNCTION; Schema: raw; Owner: -
--

CREATE FUNCTION raw.want(p_signatures text[], p_reason text, p_slots bigint[]) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    v_wanted int;
begin
    if coalesce(cardinality(p_signatures), 0) = 0 then
        return 0;
    end if;
    -- Only now: finding out what is missing may take long, and the log must not wait for it.
    lock table raw.writer in exclusive mode;
    insert into raw.wanted as w (signature, reason, slot)
    select given.signature, p_reason, given.slot
    from unnest(p_signatures, p_slots) as given (signature, slot)
    order by given.signature
    on conflict (signature) do update
    set slot = excluded.slot, reason = case excluded.reason when 'differs' then 'differs' else w.reason end
    where w.slot is distinct from excluded.slot or excluded.reason = 'differs' and w.reason <> 'differs';
    get diagnostics v_wanted = row_count;
    return v_wanted;
end
$$;

--
-- Name: FUNCTION want(p_signatures text[], p_reason text, p_slots bigint[]); Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON FUNCTION raw.want(p_signatures text[], p_reason text, p_slots bigint[]) IS 'Ask for signatures that the chain lists, with their slots, under the writer''s lock; how many rows that wrote. What differs stays so until the chain has decided.';

--
-- Name: average_cost(numeric[], boolean, boolean, numeric, numeric); Type: AGGREGATE; Schema: folds; Owner: -
--

CREATE AGGREGATE folds.average_cost(p_before numeric[], p_is_buy boolean, p_is_yes boolean, p_shares numeric, p_lamports numeric) (
    SFUNC = folds.average_cost_step,
    STYPE = numeric[]
);

--
-- Name: AGGREGATE average_cost(p_before numeric[], p_is_buy boolean, p_is_yes boolean, p_shares numeric, p_lamports numeric); Type: COMMENT; Schema: folds; Owner: -
--

COMMENT ON AGGREGATE folds.average_cost(p_before numeric[], p_is_buy boolean, p_is_yes boolean, p_shares numeric, p_lamports numeric) IS 'Trades of one position in order, continued from p_before (null for none): {shares, cost, realized} of YES, then of NO.';

--
-- Name: allowances; Type: TABLE; Schema: app; Owner: -
--

CREATE UNLOGGED TABLE app.allowances (
    bucket text NOT NULL COLLATE pg_catalog."C",
    began timestamp with time zone NOT NULL,
    used integer NOT NULL
);

--
-- Name: TABLE allowances; Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON TABLE app.allowances IS 'One row per address or wallet that asked lately: what it used since its window began.';

--
-- Name: ballots; Type: TABLE; Schema: app; Owner: -
--

CREATE TABLE app.ballots (
    seq bigint NOT NULL,
    market_no integer NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    wallet_no integer NOT NULL,
    vote boolean NOT NULL,
    cast_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    message text NOT NULL,
    signature text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT ballots_kind_check CHECK ((kind = ANY (ARRAY['proposal'::text, 'dispute'::text])))
);

ALTER TABLE ONLY app.ballots FORCE ROW LEVEL SECURITY;

--
-- Name: TABLE ballots; Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON TABLE app.ballots IS 'One row per ballot cast through the API. vote: proposal like, dispute agree.';

--
-- Name: comments_comment_no_seq; Type: SEQUENCE; Schema: app; Owner: -
--

ALTER TABLE app.comments ALTER COLUMN comment_no ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME app.comments_comment_no_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: flags; Type: TABLE; Schema: app; Owner: -
--

CREATE TABLE app.flags (
    comment_no bigint NOT NULL,
    wallet_no integer NOT NULL,
    reason text NOT NULL,
    flagged_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT flags_reason_check CHECK (((length(reason) >= 1) AND (length(reason) <= 500)))
);

ALTER TABLE ONLY app.flags FORCE ROW LEVEL SECURITY;

--
-- Name: TABLE flags; Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON TABLE app.flags IS 'One row per wallet and comment it reported.';

--
-- Name: market_metadata; Type: TABLE; Schema: app; Owner: -
--

CREATE TABLE app.market_metadata (
    market_id text NOT NULL COLLATE pg_catalog."C",
    wallet_no integer NOT NULL,
    question text NOT NULL,
    description text,
    category text DEFAULT 'other'::text NOT NULL COLLATE pg_catalog."C",
    tags text[] DEFAULT '{}'::text[] NOT NULL,
    ends_at timestamp with time zone,
    question_cid text COLLATE pg_catalog."C",
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    user_wallet text NOT NULL COLLATE pg_catalog."C",
    search tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig, ((question || ' '::text) || COALESCE(description, ''::text)))) STORED NOT NULL,
    CONSTRAINT market_metadata_category_check CHECK ((category = ANY (ARRAY['politics'::text, 'sports'::text, 'crypto'::text, 'science'::text, 'entertainment'::text, 'other'::text]))),
    CONSTRAINT market_metadata_description_check CHECK ((length(description) <= 2000)),
    CONSTRAINT market_metadata_market_id_check CHECK ((market_id ~ '^[0-9a-f]{64}$'::text)),
    CONSTRAINT market_metadata_question_check CHECK (((length(question) >= 10) AND (length(question) <= 200))),
    CONSTRAINT market_metadata_tags_check CHECK ((cardinality(tags) <= 10))
);

ALTER TABLE ONLY app.market_metadata FORCE ROW LEVEL SECURITY;

--
-- Name: TABLE market_metadata; Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON TABLE app.market_metadata IS 'One row per market and wallet that told its question; that of its creator counts. Events carry none (protocol.md 1.4.2).';

--
-- Name: reactions; Type: TABLE; Schema: app; Owner: -
--

CREATE TABLE app.reactions (
    comment_no bigint NOT NULL,
    wallet_no integer NOT NULL,
    seq bigint NOT NULL,
    vote text NOT NULL COLLATE pg_catalog."C",
    reacted_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT reactions_vote_check CHECK ((vote = ANY (ARRAY['up'::text, 'down'::text])))
);

ALTER TABLE ONLY app.reactions FORCE ROW LEVEL SECURITY;

--
-- Name: TABLE reactions; Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON TABLE app.reactions IS 'One row per wallet and comment it has an opinion on.';

--
-- Name: redeemed_nonces; Type: TABLE; Schema: app; Owner: -
--

CREATE TABLE app.redeemed_nonces (
    nonce text NOT NULL COLLATE pg_catalog."C",
    wallet_no integer NOT NULL,
    redeemed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY app.redeemed_nonces FORCE ROW LEVEL SECURITY;

--
-- Name: TABLE redeemed_nonces; Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON TABLE app.redeemed_nonces IS 'Nonces that were used. The primary key makes the second use fail.';

--
-- Name: sessions; Type: TABLE; Schema: app; Owner: -
--

CREATE TABLE app.sessions (
    session_id uuid DEFAULT gen_random_uuid() NOT NULL,
    wallet_no integer NOT NULL,
    refresh_hash bytea NOT NULL,
    issued_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    replaced_by uuid,
    revoked_at timestamp with time zone,
    family_id uuid DEFAULT gen_random_uuid() NOT NULL,
    CONSTRAINT sessions_refresh_hash_check CHECK ((length(refresh_hash) = 32))
);

ALTER TABLE ONLY app.sessions FORCE ROW LEVEL SECURITY;

--
-- Name: TABLE sessions; Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON TABLE app.sessions IS 'One row per refresh token, hashed; used once, then replaced.';

--
-- Name: COLUMN sessions.family_id; Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON COLUMN app.sessions.family_id IS 'The signing in that this token descends from.';

--
-- Name: wallets; Type: TABLE; Schema: app; Owner: -
--

CREATE TABLE app.wallets (
    wallet_no integer NOT NULL,
    display_name text,
    bio text,
    avatar_url text,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT wallets_avatar_url_check CHECK ((length(avatar_url) <= 500)),
    CONSTRAINT wallets_bio_check CHECK ((length(bio) <= 500)),
    CONSTRAINT wallets_display_name_check CHECK (((length(display_name) >= 1) AND (length(display_name) <= 50)))
);

ALTER TABLE ONLY app.wallets FORCE ROW LEVEL SECURITY;

--
-- Name: TABLE wallets; Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON TABLE app.wallets IS 'One row per wallet that said something about itself.';

--
-- Name: alerts_alert_no_seq; Type: SEQUENCE; Schema: ops; Owner: -
--

ALTER TABLE ops.alerts ALTER COLUMN alert_no ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME ops.alerts_alert_no_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: cursors; Type: TABLE; Schema: ops; Owner: -
--

CREATE TABLE ops.cursors (
    name text NOT NULL COLLATE pg_catalog."C",
    value jsonb NOT NULL,
    moved_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

--
-- Name: TABLE cursors; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON TABLE ops.cursors IS 'Where a walker or sensor stood.';

--
-- Name: intents_intent_no_seq; Type: SEQUENCE; Schema: ops; Owner: -
--

ALTER TABLE ops.intents ALTER COLUMN intent_no ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME ops.intents_intent_no_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: model_status; Type: VIEW; Schema: ops; Owner: -
--

CREATE VIEW ops.model_status AS
 SELECT m.name,
    m.kind,
    (m.stale_since IS NOT NULL) AS is_stale,
    COALESCE(m.applied_seq, h.seq) AS applied_seq,
    (h.seq - COALESCE(m.applied_seq, h.seq)) AS behind,
    m.stale_since,
    m.failed_event,
    m.reason,
    m.built_at,
    ((m.applied_seq IS NOT NULL) AND (m.stale_since IS NULL)) AS is_behind,
    m.behind_since,
        CASE
            WHEN (m.stale_since IS NULL) THEN m.next_attempt_at
            ELSE NULL::timestamp with time zone
        END AS next_attempt_at
   FROM (ops.models m
     CROSS JOIN ( SELECT COALESCE(max(feed.seq), (0)::bigint) AS seq
           FROM raw.feed) h);

--
-- Name: VIEW model_status; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON VIEW ops.model_status IS 'Each folded model and the seq it answers for.';

--
-- Name: settings; Type: TABLE; Schema: ops; Owner: -
--

CREATE TABLE ops.settings (
    name text NOT NULL COLLATE pg_catalog."C",
    value bigint NOT NULL,
    meaning text NOT NULL
);

--
-- Name: TABLE settings; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON TABLE ops.settings IS 'Settings that views need; written from the environment at deploy.';

--
-- Name: snapshots; Type: TABLE; Schema: ops; Owner: -
--

CREATE TABLE ops.snapshots (
    market_no integer NOT NULL,
    day date NOT NULL,
    cid_v0 text NOT NULL COLLATE pg_catalog."C",
    cid_v1 text NOT NULL COLLATE pg_catalog."C",
    previous_cid text COLLATE pg_catalog."C",
    comments_count integer NOT NULL,
    published_at timestamp with time zone,
    pinned_at timestamp with time zone,
    document_bytes bigint
);

--
-- Name: TABLE snapshots; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON TABLE ops.snapshots IS 'One row per market and UTC day whose discussion was anchored.';

--
-- Name: COLUMN snapshots.previous_cid; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.snapshots.previous_cid IS 'The CIDv0 of the market''s anchored day before, as the document names it.';

--
-- Name: COLUMN snapshots.comments_count; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.snapshots.comments_count IS 'Comments in the document: written, edited or deleted that day.';

--
-- Name: COLUMN snapshots.published_at; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.snapshots.published_at IS 'When a node held it under this name and it was read back.';

--
-- Name: COLUMN snapshots.pinned_at; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.snapshots.pinned_at IS 'When the second service said it keeps it; null without one, or not yet.';

--
-- Name: uncompared; Type: TABLE; Schema: ops; Owner: -
--

CREATE TABLE ops.uncompared (
    account text NOT NULL COLLATE pg_catalog."C",
    since timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    reason text NOT NULL,
    CONSTRAINT uncompared_account_check CHECK ((account <> ''::text))
);

--
-- Name: TABLE uncompared; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON TABLE ops.uncompared IS 'Markets that the newest check of the program''s accounts did not compare; kept by the check accounts_equal_folds.';

--
-- Name: COLUMN uncompared.account; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.uncompared.account IS 'Address of the market''s account, or config for the configuration.';

--
-- Name: COLUMN uncompared.since; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.uncompared.since IS 'When the first of the checks ran that missed it one after the other.';

--
-- Name: COLUMN uncompared.reason; Type: COMMENT; Schema: ops; Owner: -
--

COMMENT ON COLUMN ops.uncompared.reason IS 'Why the newest did.';

--
-- Name: accounts; Type: TABLE; Schema: raw; Owner: -
--

CREATE TABLE raw.accounts (
    account text NOT NULL COLLATE pg_catalog."C",
    slot bigint NOT NULL,
    kind text NOT NULL COLLATE pg_catalog."C",
    lamports numeric(20,0) NOT NULL,
    data bytea NOT NULL,
    read_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

--
-- Name: TABLE accounts; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON TABLE raw.accounts IS 'Accounts as an RPC showed them at a slot. For reconciliation alone; folds never read it.';

--
-- Name: bundles; Type: TABLE; Schema: raw; Owner: -
--

CREATE TABLE raw.bundles (
    bundle_no bigint NOT NULL,
    content bytea NOT NULL
);
ALTER TABLE ONLY raw.bundles ALTER COLUMN content SET STORAGE EXTERNAL;

--
-- Name: TABLE bundles; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON TABLE raw.bundles IS 'What was delivered, byte for byte: transactions of one batch behind each other, zlib-compressed. The only rows of the log that may age out.';

--
-- Name: dead_letters; Type: TABLE; Schema: raw; Owner: -
--

CREATE TABLE raw.dead_letters (
    dead_letter_no bigint NOT NULL,
    signature text COLLATE pg_catalog."C",
    ordinal integer,
    reason_code text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL,
    source text NOT NULL COLLATE pg_catalog."C",
    bytes bytea,
    sightings integer DEFAULT 1 NOT NULL,
    first_seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    last_seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    retried_at timestamp with time zone,
    resolved_at timestamp with time zone,
    digest bytea NOT NULL
);

--
-- Name: TABLE dead_letters; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON TABLE raw.dead_letters IS 'What could not be used, kept with its bytes and the reason until someone retries it.';

--
-- Name: dead_letters_dead_letter_no_seq; Type: SEQUENCE; Schema: raw; Owner: -
--

ALTER TABLE raw.dead_letters ALTER COLUMN dead_letter_no ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME raw.dead_letters_dead_letter_no_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

--
-- Name: suspects; Type: TABLE; Schema: raw; Owner: -
--

CREATE TABLE raw.suspects (
    signature text NOT NULL COLLATE pg_catalog."C",
    slot bigint NOT NULL,
    missed_at_height bigint NOT NULL,
    missed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

--
-- Name: TABLE suspects; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON TABLE raw.suspects IS 'Transactions of ours that the finalized history does not list. They are retracted only when that is proven, and end here when it lists them after all.';

--
-- Name: COLUMN suspects.missed_at_height; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON COLUMN raw.suspects.missed_at_height IS 'Finalized block height when it was first missed; 150 blocks later its blockhash is dead for certain.';

--
-- Name: wanted; Type: TABLE; Schema: raw; Owner: -
--

CREATE TABLE raw.wanted (
    signature text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    attempts integer DEFAULT 0 NOT NULL,
    wanted_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    slot bigint,
    last_error text,
    failing_since timestamp with time zone,
    last_error_kind text COLLATE pg_catalog."C"
);

--
-- Name: TABLE wanted; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON TABLE raw.wanted IS 'Signatures we were told of without their logs; they are still to be fetched.';

--
-- Name: COLUMN wanted.reason; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON COLUMN raw.wanted.reason IS 'walk, backfill: listed by the chain. differs: two deliveries disagree and the finalized chain decides. retry: a person asked. Anything else: who named it.';

--
-- Name: COLUMN wanted.slot; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON COLUMN raw.wanted.slot IS 'Where the chain lists it, so that the oldest is fetched first; null where only a delivery named it.';

--
-- Name: COLUMN wanted.last_error; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON COLUMN raw.wanted.last_error IS 'Why the last attempt did not bring it.';

--
-- Name: COLUMN wanted.failing_since; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON COLUMN raw.wanted.failing_since IS 'When the first attempt brought nothing; null before an attempt.';

--
-- Name: COLUMN wanted.last_error_kind; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON COLUMN raw.wanted.last_error_kind IS 'The kind of the last error (a class of zmart.chain.rpc_errors); Unknown where no node knows the signature.';

--
-- Name: writer; Type: TABLE; Schema: raw; Owner: -
--

CREATE TABLE raw.writer (
    held boolean NOT NULL
);

--
-- Name: TABLE writer; Type: COMMENT; Schema: raw; Owner: -
--

COMMENT ON TABLE raw.writer IS 'Always empty; its lock is the right to append to the log.';

--
-- Name: applied; Type: TABLE; Schema: zmart_migrations; Owner: -
--

CREATE TABLE zmart_migrations.applied (
    version integer NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

--
-- Name: TABLE applied; Type: COMMENT; Schema: zmart_migrations; Owner: -
--

COMMENT ON TABLE zmart_migrations.applied IS 'One row per migration file, as it was when it was applied.';

--
-- Name: allowances allowances_pkey; Type: CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.allowances
    ADD CONSTRAINT allowances_pkey PRIMARY KEY (bucket);

--
-- Name: ballots ballots_market_no_kind_wallet_no_key; Type: CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.ballots
    ADD CONSTRAINT ballots_market_no_kind_wallet_no_key UNIQUE (market_no, kind, wallet_no);

--
-- Name: ballots ballots_pkey; Type: CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.ballots
    ADD CONSTRAINT ballots_pkey PRIMARY KEY (seq);

--
-- Name: comment_edits comment_edits_pkey; Type: CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.comment_edits
    ADD CONSTRAINT comment_edits_pkey PRIMARY KEY (comment_no, edited_at);

--
-- Name: comments comments_pkey; Type: CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.comments
    ADD CONSTRAINT comments_pkey PRIMARY KEY (comment_no);

--
-- Name: comments comments_seq_key; Type: CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.comments
    ADD CONSTRAINT comments_seq_key UNIQUE (seq);

--
-- Name: flags flags_pkey; Type: CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.flags
    ADD CONSTRAINT flags_pkey PRIMARY KEY (comment_no, wallet_no);

--
-- Name: market_metadata market_metadata_pkey; Type: CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.market_metadata
    ADD CONSTRAINT market_metadata_pkey PRIMARY KEY (market_id, wallet_no);

--
-- Name: reactions reactions_pkey; Type: CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.reactions
    ADD CONSTRAINT reactions_pkey PRIMARY KEY (comment_no, wallet_no);

--
-- Name: redeemed_nonces redeemed_nonces_pkey; Type: CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.redeemed_nonces
    ADD CONSTRAINT redeemed_nonces_pkey PRIMARY KEY (nonce);

--
-- Name: sessions sessions_pkey; Type: CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (session_id);

--
-- Name: sessions sessions_refresh_hash_key; Type: CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.sessions
    ADD CONSTRAINT sessions_refresh_hash_key UNIQUE (refresh_hash);

--
-- Name: wallets wallets_pkey; Type: CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.wallets
    ADD CONSTRAINT wallets_pkey PRIMARY KEY (wallet_no);

--
-- Name: alerts alerts_pkey; Type: CONSTRAINT; Schema: ops; Owner: -
--

ALTER TABLE ONLY ops.alerts
    ADD CONSTRAINT alerts_pkey PRIMARY KEY (alert_no);

--
-- Name: cursors cursors_pkey; Type: CONSTRAINT; Schema: ops; Owner: -
--

ALTER TABLE ONLY ops.cursors
    ADD CONSTRAINT cursors_pkey PRIMARY KEY (name);

--
-- Name: intents intents_pkey; Type: CONSTRAINT; Schema: ops; Owner: -
--

ALTER TABLE ONLY ops.intents
    ADD CONSTRAINT intents_pkey PRIMARY KEY (intent_no);

--
-- Name: leases leases_pkey; Type: CONSTRAINT; Schema: ops; Owner: -
--

ALTER TABLE ONLY ops.leases
    ADD CONSTRAINT leases_pkey PRIMARY KEY (name);

--
-- Name: models models_pkey; Type: CONSTRAINT; Schema: ops; Owner: -
--

ALTER TABLE ONLY ops.models
    ADD CONSTRAINT models_pkey PRIMARY KEY (name);

--
-- Name: refreshed refreshed_pkey; Type: CONSTRAINT; Schema: ops; Owner: -
--

ALTER TABLE ONLY ops.refreshed
    ADD CONSTRAINT refreshed_pkey PRIMARY KEY (name);

--
-- Name: settings settings_pkey; Type: CONSTRAINT; Schema: ops; Owner: -
--

ALTER TABLE ONLY ops.settings
    ADD CONSTRAINT settings_pkey PRIMARY KEY (name);

--
-- Name: snapshots snapshots_pkey; Type: CONSTRAINT; Schema: ops; Owner: -
--

ALTER TABLE ONLY ops.snapshots
    ADD CONSTRAINT snapshots_pkey PRIMARY KEY (market_no, day);

--
-- Name: submissions submissions_pkey; Type: CONSTRAINT; Schema: ops; Owner: -
--

ALTER TABLE ONLY ops.submissions
    ADD CONSTRAINT submissions_pkey PRIMARY KEY (signature);

--
-- Name: uncompared uncompared_pkey; Type: CONSTRAINT; Schema: ops; Owner: -
--

ALTER TABLE ONLY ops.uncompared
    ADD CONSTRAINT uncompared_pkey PRIMARY KEY (account);

--
-- Name: accounts accounts_pkey; Type: CONSTRAINT; Schema: raw; Owner: -
--

ALTER TABLE ONLY raw.accounts
    ADD CONSTRAINT accounts_pkey PRIMARY KEY (account, slot);

--
-- Name: bundles bundles_pkey; Type: CONSTRAINT; Schema: raw; Owner: -
--

ALTER TABLE ONLY raw.bundles
    ADD CONSTRAINT bundles_pkey PRIMARY KEY (bundle_no);

--
-- Name: coverage coverage_pkey; Type: CONSTRAINT; Schema: raw; Owner: -
--

ALTER TABLE ONLY raw.coverage
    ADD CONSTRAINT coverage_pkey PRIMARY KEY (source, from_slot);

--
-- Name: dead_letters dead_letters_pkey; Type: CONSTRAINT; Schema: raw; Owner: -
--

ALTER TABLE ONLY raw.dead_letters
    ADD CONSTRAINT dead_letters_pkey PRIMARY KEY (dead_letter_no);

--
-- Name: dead_letters dead_letters_signature_ordinal_reason_code_digest_key; Type: CONSTRAINT; Schema: raw; Owner: -
--

ALTER TABLE ONLY raw.dead_letters
    ADD CONSTRAINT dead_letters_signature_ordinal_reason_code_digest_key UNIQUE NULLS NOT DISTINCT (signature, ordinal, reason_code, digest);

--
-- Name: events events_pkey; Type: CONSTRAINT; Schema: raw; Owner: -
--

ALTER TABLE ONLY raw.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (seq);

--
-- Name: feed feed_pkey; Type: CONSTRAINT; Schema: raw; Owner: -
--

ALTER TABLE ONLY raw.feed
    ADD CONSTRAINT feed_pkey PRIMARY KEY (seq);

--
-- Name: identity identity_pkey; Type: CONSTRAINT; Schema: raw; Owner: -
--

ALTER TABLE ONLY raw.identity
    ADD CONSTRAINT identity_pkey PRIMARY KEY (only_row);

--
-- Name: markets_seen markets_seen_account_key; Type: CONSTRAINT; Schema: raw; Owner: -
--

ALTER TABLE ONLY raw.markets_seen
    ADD CONSTRAINT markets_seen_account_key UNIQUE (account);

--
-- Name: markets_seen markets_seen_market_id_key; Type: CONSTRAINT; Schema: raw; Owner: -
--

ALTER TABLE ONLY raw.markets_seen
    ADD CONSTRAINT markets_seen_market_id_key UNIQUE (market_id);

--
-- Name: markets_seen markets_seen_pkey; Type: CONSTRAINT; Schema: raw; Owner: -
--

ALTER TABLE ONLY raw.markets_seen
    ADD CONSTRAINT markets_seen_pkey PRIMARY KEY (market_no);

--
-- Name: suspects suspects_pkey; Type: CONSTRAINT; Schema: raw; Owner: -
--

ALTER TABLE ONLY raw.suspects
    ADD CONSTRAINT suspects_pkey PRIMARY KEY (signature);

--
-- Name: transactions transactions_pkey; Type: CONSTRAINT; Schema: raw; Owner: -
--

ALTER TABLE ONLY raw.transactions
    ADD CONSTRAINT transactions_pkey PRIMARY KEY (transaction_no);

--
-- Name: transactions transactions_signature_key; Type: CONSTRAINT; Schema: raw; Owner: -
--

ALTER TABLE ONLY raw.transactions
    ADD CONSTRAINT transactions_signature_key UNIQUE (signature);

--
-- Name: wallets_seen wallets_seen_pkey; Type: CONSTRAINT; Schema: raw; Owner: -
--

ALTER TABLE ONLY raw.wallets_seen
    ADD CONSTRAINT wallets_seen_pkey PRIMARY KEY (wallet_no);

--
-- Name: wallets_seen wallets_seen_wallet_key; Type: CONSTRAINT; Schema: raw; Owner: -
--

ALTER TABLE ONLY raw.wallets_seen
    ADD CONSTRAINT wallets_seen_wallet_key UNIQUE (wallet);

--
-- Name: wanted wanted_pkey; Type: CONSTRAINT; Schema: raw; Owner: -
--

ALTER TABLE ONLY raw.wanted
    ADD CONSTRAINT wanted_pkey PRIMARY KEY (signature);

--
-- Name: writer writer_pkey; Type: CONSTRAINT; Schema: raw; Owner: -
--

ALTER TABLE ONLY raw.writer
    ADD CONSTRAINT writer_pkey PRIMARY KEY (held);

--
-- Name: applied applied_name_key; Type: CONSTRAINT; Schema: zmart_migrations; Owner: -
--

ALTER TABLE ONLY zmart_migrations.applied
    ADD CONSTRAINT applied_name_key UNIQUE (name);

--
-- Name: applied applied_pkey; Type: CONSTRAINT; Schema: zmart_migrations; Owner: -
--

ALTER TABLE ONLY zmart_migrations.applied
    ADD CONSTRAINT applied_pkey PRIMARY KEY (version);

--
-- Name: comment_edits_when; Type: INDEX; Schema: app; Owner: -
--

CREATE INDEX comment_edits_when ON app.comment_edits USING btree (edited_at);

--
-- Name: comments_deleted; Type: INDEX; Schema: app; Owner: -
--

CREATE INDEX comments_deleted ON app.comments USING btree (deleted_at) WHERE (deleted_at IS NOT NULL);

--
-- Name: comments_market_no_created_at_idx; Type: INDEX; Schema: app; Owner: -
--

CREATE INDEX comments_market_no_created_at_idx ON app.comments USING btree (market_no, created_at DESC);

--
-- Name: comments_newest; Type: INDEX; Schema: app; Owner: -
--

CREATE INDEX comments_newest ON app.comments USING btree (market_no, comment_no DESC);

--
-- Name: comments_parent_no; Type: INDEX; Schema: app; Owner: -
--

CREATE INDEX comments_parent_no ON app.comments USING btree (parent_no) WHERE (parent_no IS NOT NULL);

--
-- Name: comments_replies; Type: INDEX; Schema: app; Owner: -
--

CREATE INDEX comments_replies ON app.comments USING btree (root_no, comment_no) WHERE (root_no IS NOT NULL);

--
-- Name: comments_threads; Type: INDEX; Schema: app; Owner: -
--

CREATE INDEX comments_threads ON app.comments USING btree (market_no, comment_no DESC) WHERE (root_no IS NULL);

--
-- Name: comments_wallet_no_created_at_idx; Type: INDEX; Schema: app; Owner: -
--

CREATE INDEX comments_wallet_no_created_at_idx ON app.comments USING btree (wallet_no, created_at DESC);

--
-- Name: comments_when; Type: INDEX; Schema: app; Owner: -
--

CREATE INDEX comments_when ON app.comments USING btree (created_at);

--
-- Name: flags_of; Type: INDEX; Schema: app; Owner: -
--

CREATE INDEX flags_of ON app.flags USING btree (wallet_no);

--
-- Name: market_metadata_parts; Type: INDEX; Schema: app; Owner: -
--

CREATE INDEX market_metadata_parts ON app.market_metadata USING gin (question public.gin_trgm_ops, description public.gin_trgm_ops);

--
-- Name: market_metadata_words; Type: INDEX; Schema: app; Owner: -
--

CREATE INDEX market_metadata_words ON app.market_metadata USING gin (search);

--
-- Name: redeemed_nonces_expires_at_idx; Type: INDEX; Schema: app; Owner: -
--

CREATE INDEX redeemed_nonces_expires_at_idx ON app.redeemed_nonces USING btree (expires_at);

--
-- Name: sessions_expires_at_idx; Type: INDEX; Schema: app; Owner: -
--

CREATE INDEX sessions_expires_at_idx ON app.sessions USING btree (expires_at);

--
-- Name: sessions_family_id_idx; Type: INDEX; Schema: app; Owner: -
--

CREATE INDEX sessions_family_id_idx ON app.sessions USING btree (family_id);

--
-- Name: sessions_replaced_by_idx; Type: INDEX; Schema: app; Owner: -
--

CREATE INDEX sessions_replaced_by_idx ON app.sessions USING btree (replaced_by);

--
-- Name: alerts_open; Type: INDEX; Schema: ops; Owner: -
--

CREATE UNIQUE INDEX alerts_open ON ops.alerts USING btree (kind, subject) WHERE (resolved_at IS NULL);

--
-- Name: intents_market; Type: INDEX; Schema: ops; Owner: -
--

CREATE INDEX intents_market ON ops.intents USING btree (market_no, action, intent_no DESC);

--
-- Name: intents_open; Type: INDEX; Schema: ops; Owner: -
--

CREATE UNIQUE INDEX intents_open ON ops.intents USING btree (market_no, action) WHERE (state = ANY (ARRAY['planned'::text, 'sent'::text, 'landed'::text, 'reopened'::text, 'quarantined'::text]));

--
-- Name: intents_unclosed; Type: INDEX; Schema: ops; Owner: -
--

CREATE INDEX intents_unclosed ON ops.intents USING btree (intent_no) WHERE (state = ANY (ARRAY['planned'::text, 'sent'::text, 'landed'::text, 'reopened'::text]));

--
-- Name: snapshots_v0; Type: INDEX; Schema: ops; Owner: -
--

CREATE INDEX snapshots_v0 ON ops.snapshots USING btree (cid_v0);

--
-- Name: snapshots_v1; Type: INDEX; Schema: ops; Owner: -
--

CREATE INDEX snapshots_v1 ON ops.snapshots USING btree (cid_v1);

--
-- Name: submissions_open; Type: INDEX; Schema: ops; Owner: -
--

CREATE UNIQUE INDEX submissions_open ON ops.submissions USING btree (intent_no) WHERE (ending IS NULL);

--
-- Name: submissions_stored; Type: INDEX; Schema: ops; Owner: -
--

CREATE INDEX submissions_stored ON ops.submissions USING btree (stored_at);

--
-- Name: events_creations; Type: INDEX; Schema: raw; Owner: -
--

CREATE INDEX events_creations ON raw.events USING btree (market_no) WHERE (name = 'MarketCreated'::text);

--
-- Name: events_live; Type: INDEX; Schema: raw; Owner: -
--

CREATE UNIQUE INDEX events_live ON raw.events USING btree (transaction_no, ordinal) WHERE (retracted_at IS NULL);

--
-- Name: events_market_no_order_key_idx; Type: INDEX; Schema: raw; Owner: -
--

CREATE INDEX events_market_no_order_key_idx ON raw.events USING btree (market_no, order_key);

--
-- Name: events_order_key_idx; Type: INDEX; Schema: raw; Owner: -
--

CREATE INDEX events_order_key_idx ON raw.events USING btree (order_key);

--
-- Name: events_protocol; Type: INDEX; Schema: raw; Owner: -
--

CREATE INDEX events_protocol ON raw.events USING btree (seq) WHERE (market_no IS NULL);

--
-- Name: events_wallet_no_market_no_order_key_idx; Type: INDEX; Schema: raw; Owner: -
--

CREATE INDEX events_wallet_no_market_no_order_key_idx ON raw.events USING btree (wallet_no, market_no, order_key);

--
-- Name: events_wallet_no_order_key_idx; Type: INDEX; Schema: raw; Owner: -
--

CREATE INDEX events_wallet_no_order_key_idx ON raw.events USING btree (wallet_no, order_key) WHERE (wallet_no IS NOT NULL);

--
-- Name: feed_corrections; Type: INDEX; Schema: raw; Owner: -
--

CREATE INDEX feed_corrections ON raw.feed USING btree (seq) WHERE (kind = ANY (ARRAY['retracted'::text, 'moved'::text]));

--
-- Name: feed_finality; Type: INDEX; Schema: raw; Owner: -
--

CREATE INDEX feed_finality ON raw.feed USING btree (ref) WHERE (kind = 'finalized_through'::text);

--
-- Name: transactions_slot_idx; Type: INDEX; Schema: raw; Owner: -
--

CREATE INDEX transactions_slot_idx ON raw.transactions USING btree (slot);

--
-- Name: transactions_unsettled; Type: INDEX; Schema: raw; Owner: -
--

CREATE INDEX transactions_unsettled ON raw.transactions USING btree (slot) WHERE ((NOT order_settled) AND (retracted_at IS NULL));

--
-- Name: market_metadata name_the_teller; Type: TRIGGER; Schema: app; Owner: -
--

CREATE TRIGGER name_the_teller BEFORE INSERT OR UPDATE OF wallet_no ON app.market_metadata FOR EACH ROW EXECUTE FUNCTION app.name_the_teller();

--
-- Name: ballots ballots_market_no_fkey; Type: FK CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.ballots
    ADD CONSTRAINT ballots_market_no_fkey FOREIGN KEY (market_no) REFERENCES raw.markets_seen(market_no);

--
-- Name: ballots ballots_wallet_no_fkey; Type: FK CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.ballots
    ADD CONSTRAINT ballots_wallet_no_fkey FOREIGN KEY (wallet_no) REFERENCES raw.wallets_seen(wallet_no);

--
-- Name: comment_edits comment_edits_comment_no_fkey; Type: FK CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.comment_edits
    ADD CONSTRAINT comment_edits_comment_no_fkey FOREIGN KEY (comment_no) REFERENCES app.comments(comment_no);

--
-- Name: comments comments_market_no_fkey; Type: FK CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.comments
    ADD CONSTRAINT comments_market_no_fkey FOREIGN KEY (market_no) REFERENCES raw.markets_seen(market_no);

--
-- Name: comments comments_parent_no_fkey; Type: FK CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.comments
    ADD CONSTRAINT comments_parent_no_fkey FOREIGN KEY (parent_no) REFERENCES app.comments(comment_no);

--
-- Name: comments comments_root_no_fkey; Type: FK CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.comments
    ADD CONSTRAINT comments_root_no_fkey FOREIGN KEY (root_no) REFERENCES app.comments(comment_no);

--
-- Name: comments comments_wallet_no_fkey; Type: FK CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.comments
    ADD CONSTRAINT comments_wallet_no_fkey FOREIGN KEY (wallet_no) REFERENCES raw.wallets_seen(wallet_no);

--
-- Name: flags flags_comment_no_fkey; Type: FK CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.flags
    ADD CONSTRAINT flags_comment_no_fkey FOREIGN KEY (comment_no) REFERENCES app.comments(comment_no);

--
-- Name: flags flags_wallet_no_fkey; Type: FK CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.flags
    ADD CONSTRAINT flags_wallet_no_fkey FOREIGN KEY (wallet_no) REFERENCES raw.wallets_seen(wallet_no);

--
-- Name: market_metadata market_metadata_wallet_no_fkey; Type: FK CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.market_metadata
    ADD CONSTRAINT market_metadata_wallet_no_fkey FOREIGN KEY (wallet_no) REFERENCES raw.wallets_seen(wallet_no);

--
-- Name: reactions reactions_comment_no_fkey; Type: FK CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.reactions
    ADD CONSTRAINT reactions_comment_no_fkey FOREIGN KEY (comment_no) REFERENCES app.comments(comment_no);

--
-- Name: reactions reactions_wallet_no_fkey; Type: FK CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.reactions
    ADD CONSTRAINT reactions_wallet_no_fkey FOREIGN KEY (wallet_no) REFERENCES raw.wallets_seen(wallet_no);

--
-- Name: redeemed_nonces redeemed_nonces_wallet_no_fkey; Type: FK CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.redeemed_nonces
    ADD CONSTRAINT redeemed_nonces_wallet_no_fkey FOREIGN KEY (wallet_no) REFERENCES raw.wallets_seen(wallet_no);

--
-- Name: sessions sessions_replaced_by_fkey; Type: FK CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.sessions
    ADD CONSTRAINT sessions_replaced_by_fkey FOREIGN KEY (replaced_by) REFERENCES app.sessions(session_id) ON DELETE SET NULL;

--
-- Name: sessions sessions_wallet_no_fkey; Type: FK CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.sessions
    ADD CONSTRAINT sessions_wallet_no_fkey FOREIGN KEY (wallet_no) REFERENCES raw.wallets_seen(wallet_no);

--
-- Name: wallets wallets_wallet_no_fkey; Type: FK CONSTRAINT; Schema: app; Owner: -
--

ALTER TABLE ONLY app.wallets
    ADD CONSTRAINT wallets_wallet_no_fkey FOREIGN KEY (wallet_no) REFERENCES raw.wallets_seen(wallet_no);

--
-- Name: intents intents_market_no_fkey; Type: FK CONSTRAINT; Schema: ops; Owner: -
--

ALTER TABLE ONLY ops.intents
    ADD CONSTRAINT intents_market_no_fkey FOREIGN KEY (market_no) REFERENCES raw.markets_seen(market_no);

--
-- Name: snapshots snapshots_market_no_fkey; Type: FK CONSTRAINT; Schema: ops; Owner: -
--

ALTER TABLE ONLY ops.snapshots
    ADD CONSTRAINT snapshots_market_no_fkey FOREIGN KEY (market_no) REFERENCES raw.markets_seen(market_no);

--
-- Name: submissions submissions_intent_no_fkey; Type: FK CONSTRAINT; Schema: ops; Owner: -
--

ALTER TABLE ONLY ops.submissions
    ADD CONSTRAINT submissions_intent_no_fkey FOREIGN KEY (intent_no) REFERENCES ops.intents(intent_no);

--
-- Name: events events_transaction_no_fkey; Type: FK CONSTRAINT; Schema: raw; Owner: -
--

ALTER TABLE ONLY raw.events
    ADD CONSTRAINT events_transaction_no_fkey FOREIGN KEY (transaction_no) REFERENCES raw.transactions(transaction_no);

--
-- Name: ballots; Type: ROW SECURITY; Schema: app; Owner: -
--

ALTER TABLE app.ballots ENABLE ROW LEVEL SECURITY;

--
-- Name: comments change_ones_own; Type: POLICY; Schema: app; Owner: -
--

CREATE POLICY change_ones_own ON app.comments FOR UPDATE TO zmart_owner USING ((wallet_no = app.current_wallet_no())) WITH CHECK ((wallet_no = app.current_wallet_no()));

--
-- Name: market_metadata change_ones_own; Type: POLICY; Schema: app; Owner: -
--

CREATE POLICY change_ones_own ON app.market_metadata FOR UPDATE TO zmart_owner USING ((wallet_no = app.current_wallet_no())) WITH CHECK ((wallet_no = app.current_wallet_no()));

--
-- Name: reactions change_ones_own; Type: POLICY; Schema: app; Owner: -
--

CREATE POLICY change_ones_own ON app.reactions FOR UPDATE TO zmart_owner USING ((wallet_no = app.current_wallet_no())) WITH CHECK ((wallet_no = app.current_wallet_no()));

--
-- Name: sessions change_ones_own; Type: POLICY; Schema: app; Owner: -
--

CREATE POLICY change_ones_own ON app.sessions FOR UPDATE TO zmart_owner USING ((wallet_no = app.current_wallet_no())) WITH CHECK ((wallet_no = app.current_wallet_no()));

--
-- Name: wallets change_ones_own; Type: POLICY; Schema: app; Owner: -
--

CREATE POLICY change_ones_own ON app.wallets FOR UPDATE TO zmart_owner USING ((wallet_no = app.current_wallet_no())) WITH CHECK ((wallet_no = app.current_wallet_no()));

--
-- Name: comment_edits; Type: ROW SECURITY; Schema: app; Owner: -
--

ALTER TABLE app.comment_edits ENABLE ROW LEVEL SECURITY;

--
-- Name: comments; Type: ROW SECURITY; Schema: app; Owner: -
--

ALTER TABLE app.comments ENABLE ROW LEVEL SECURITY;

--
-- Name: flags count_them_all; Type: POLICY; Schema: app; Owner: -
--

CREATE POLICY count_them_all ON app.flags FOR SELECT TO zmart_owner USING (true);

--
-- Name: POLICY count_them_all ON flags; Type: COMMENT; Schema: app; Owner: -
--

COMMENT ON POLICY count_them_all ON app.flags IS 'The owner''s view marts.discussions shows how often a comment was flagged. Services still read their own wallet''s flags alone.';

--
-- Name: flags; Type: ROW SECURITY; Schema: app; Owner: -
--

ALTER TABLE app.flags ENABLE ROW LEVEL SECURITY;

--
-- Name: redeemed_nonces forget_what_expired; Type: POLICY; Schema: app; Owner: -
--

CREATE POLICY forget_what_expired ON app.redeemed_nonces FOR DELETE TO zmart_owner USING ((expires_at < (clock_timestamp() - '01:00:00'::interval)));

--
-- Name: sessions forget_what_expired; Type: POLICY; Schema: app; Owner: -
--

CREATE POLICY forget_what_expired ON app.sessions FOR DELETE TO zmart_owner USING ((expires_at < (clock_timestamp() - '01:00:00'::interval)));

--
-- Name: market_metadata; Type: ROW SECURITY; Schema: app; Owner: -
--

ALTER TABLE app.market_metadata ENABLE ROW LEVEL SECURITY;

--
-- Name: reactions; Type: ROW SECURITY; Schema: app; Owner: -
--

ALTER TABLE app.reactions ENABLE ROW LEVEL SECURITY;

--
-- Name: ballots read_by_all; Type: POLICY; Schema: app; Owner: -
--

CREATE POLICY read_by_all ON app.ballots FOR SELECT USING (true);

--
-- Name: comment_edits read_by_all; Type: POLICY; Schema: app; Owner: -
--

CREATE POLICY read_by_all ON app.comment_edits FOR SELECT USING (true);

--
-- Name: comments read_by_all; Type: POLICY; Schema: app; Owner: -
--

CREATE POLICY read_by_all ON app.comments FOR SELECT USING (true);

--
-- Name: market_metadata read_by_all; Type: POLICY; Schema: app; Owner: -
--

CREATE POLICY read_by_all ON app.market_metadata FOR SELECT USING (true);

--
-- Name: reactions read_by_all; Type: POLICY; Schema: app; Owner: -
--

CREATE POLICY read_by_all ON app.reactions FOR SELECT USING (true);

--
-- Name: wallets read_by_all; Type: POLICY; Schema: app; Owner: -
--

CREATE POLICY read_by_all ON app.wallets FOR SELECT USING (true);

--
-- Name: flags read_ones_own; Type: POLICY; Schema: app; Owner: -
--

CREATE POLICY read_ones_own ON app.flags FOR SELECT TO zmart_owner, zmart_api USING ((wallet_no = app.current_wallet_no()));

--
-- Name: redeemed_nonces read_ones_own; Type: POLICY; Schema: app; Owner: -
--

CREATE POLICY read_ones_own ON app.redeemed_nonces FOR SELECT TO zmart_owner, zmart_api USING ((wallet_no = app.current_wallet_no()));

--
-- Name: sessions read_ones_own; Type: POLICY; Schema: app; Owner: -
--

CREATE POLICY read_ones_own ON app.sessions FOR SELECT TO zmart_owner, zmart_api USING ((wallet_no = app.current_wallet_no()));

--
-- Name: redeemed_nonces; Type: ROW SECURITY; Schema: app; Owner: -
--

ALTER TABLE app.redeemed_nonces ENABLE ROW LEVEL SECURITY;

--
-- Name: redeemed_nonces see_what_expired; Type: POLICY; Schema: app; Owner: -
--

CREATE POLICY see_what_expired ON app.redeemed_nonces FOR SELECT TO zmart_owner USING ((expires_at < (clock_timestamp() - '01:00:00'::interval)));

--
-- Name: sessions see_what_expired; Type: POLICY; Schema: app; Owner: -
--

CREATE POLICY see_what_expired ON app.sessions FOR SELECT TO zmart_owner USING ((expires_at < (clock_timestamp() - '01:00:00'::interval)));

--
-- Name: sessions; Type: ROW SECURITY; Schema: app; Owner: -
--

ALTER TABLE app.sessions ENABLE ROW LEVEL SECURITY;

--
-- Name: reactions take_back_ones_own; Type: POLICY; Schema: app; Owner: -
--

CREATE POLICY take_back_ones_own ON app.reactions FOR DELETE TO zmart_owner USING ((wallet_no = app.current_wallet_no()));

--
-- Name: wallets; Type: ROW SECURITY; Schema: app; Owner: -
--

ALTER TABLE app.wallets ENABLE ROW LEVEL SECURITY;

--
-- Name: ballots write_as_oneself; Type: POLICY; Schema: app; Owner: -
--

CREATE POLICY write_as_oneself ON app.ballots FOR INSERT TO zmart_owner WITH CHECK ((wallet_no = app.current_wallet_no()));

--
-- Name: comments write_as_oneself; Type: POLICY; Schema: app; Owner: -
--

CREATE POLICY write_as_oneself ON app.comments FOR INSERT TO zmart_owner WITH CHECK ((wallet_no = app.current_wallet_no()));

--
-- Name: flags write_as_oneself; Type: POLICY; Schema: app; Owner: -
--

CREATE POLICY write_as_oneself ON app.flags FOR INSERT TO zmart_owner WITH CHECK ((wallet_no = app.current_wallet_no()));

--
-- Name: market_metadata write_as_oneself; Type: POLICY; Schema: app; Owner: -
--

CREATE POLICY write_as_oneself ON app.market_metadata FOR INSERT TO zmart_owner WITH CHECK ((wallet_no = app.current_wallet_no()));

--
-- Name: reactions write_as_oneself; Type: POLICY; Schema: app; Owner: -
--

CREATE POLICY write_as_oneself ON app.reactions FOR INSERT TO zmart_owner WITH CHECK ((wallet_no = app.current_wallet_no()));

--
-- Name: redeemed_nonces write_as_oneself; Type: POLICY; Schema: app; Owner: -
--

CREATE POLICY write_as_oneself ON app.redeemed_nonces FOR INSERT TO zmart_owner WITH CHECK ((wallet_no = app.current_wallet_no()));

--
-- Name: sessions write_as_oneself; Type: POLICY; Schema: app; Owner: -
--

CREATE POLICY write_as_oneself ON app.sessions FOR INSERT TO zmart_owner WITH CHECK ((wallet_no = app.current_wallet_no()));

--
-- Name: wallets write_as_oneself; Type: POLICY; Schema: app; Owner: -
--

CREATE POLICY write_as_oneself ON app.wallets FOR INSERT TO zmart_owner WITH CHECK ((wallet_no = app.current_wallet_no()));

--
-- Name: comment_edits write_of_ones_own; Type: POLICY; Schema: app; Owner: -
--

CREATE POLICY write_of_ones_own ON app.comment_edits FOR INSERT TO zmart_owner WITH CHECK ((EXISTS ( SELECT
   FROM app.comments c
  WHERE ((c.comment_no = comment_edits.comment_no) AND (c.wallet_no = app.current_wallet_no())))));

--
-- Name: SCHEMA app; Type: ACL; Schema: -; Owner: -
--

GRANT USAGE ON SCHEMA app TO zmart_api;

--
-- Name: SCHEMA dagster; Type: ACL; Schema: -; Owner: -
--

GRANT ALL ON SCHEMA dagster TO zmart_keeper;

--
-- Name: SCHEMA folds; Type: ACL; Schema: -; Owner: -
--

GRANT USAGE ON SCHEMA folds TO zmart_ingest;

--
-- Name: SCHEMA lmsr; Type: ACL; Schema: -; Owner: -
--

GRANT USAGE ON SCHEMA lmsr TO zmart_ingest;
GRANT USAGE ON SCHEMA lmsr TO zmart_keeper;
GRANT USAGE ON SCHEMA lmsr TO zmart_api;
GRANT USAGE ON SCHEMA lmsr TO analyst;

--
-- Name: SCHEMA marts; Type: ACL; Schema: -; Owner: -
--

GRANT USAGE ON SCHEMA marts TO zmart_ingest;
GRANT USAGE ON SCHEMA marts TO zmart_keeper;
GRANT USAGE ON SCHEMA marts TO zmart_api;
GRANT USAGE ON SCHEMA marts TO analyst;

--
-- Name: SCHEMA ops; Type: ACL; Schema: -; Owner: -
--

GRANT USAGE ON SCHEMA ops TO zmart_ingest;
GRANT USAGE ON SCHEMA ops TO zmart_keeper;
GRANT USAGE ON SCHEMA ops TO zmart_api;
GRANT USAGE ON SCHEMA ops TO analyst;

--
-- Name: SCHEMA raw; Type: ACL; Schema: -; Owner: -
--

GRANT USAGE ON SCHEMA raw TO zmart_ingest;
GRANT USAGE ON SCHEMA raw TO zmart_keeper;
GRANT USAGE ON SCHEMA raw TO zmart_api;
GRANT USAGE ON SCHEMA raw TO analyst;

--
-- Name: FUNCTION cast_ballot(p_market text, p_kind text, p_vote boolean, p_message text, p_signature text); Type: ACL; Schema: app; Owner: -
--

REVOKE ALL ON FUNCTION app.cast_ballot(p_market text, p_kind text, p_vote boolean, p_message text, p_signature text) FROM PUBLIC;
GRANT ALL ON FUNCTION app.cast_ballot(p_market text, p_kind text, p_vote boolean, p_message text, p_signature text) TO zmart_api;

--
-- Name: FUNCTION cast_signed_ballot(p_market text, p_kind text, p_vote boolean, p_message text, p_signature text, p_nonce text, p_nonce_expires_at timestamp with time zone, p_eligibility text); Type: ACL; Schema: app; Owner: -
--

REVOKE ALL ON FUNCTION app.cast_signed_ballot(p_market text, p_kind text, p_vote boolean, p_message text, p_signature text, p_nonce text, p_nonce_expires_at timestamp with time zone, p_eligibility text) FROM PUBLIC;
GRANT ALL ON FUNCTION app.cast_signed_ballot(p_market text, p_kind text, p_vote boolean, p_message text, p_signature text, p_nonce text, p_nonce_expires_at timestamp with time zone, p_eligibility text) TO zmart_api;

--
-- Name: FUNCTION close_session(p_refresh_hash bytea); Type: ACL; Schema: app; Owner: -
--

REVOKE ALL ON FUNCTION app.close_session(p_refresh_hash bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION app.close_session(p_refresh_hash bytea) TO zmart_api;

--
-- Name: FUNCTION current_wallet(); Type: ACL; Schema: app; Owner: -
--

REVOKE ALL ON FUNCTION app.current_wallet() FROM PUBLIC;
GRANT ALL ON FUNCTION app.current_wallet() TO zmart_api;

--
-- Name: TABLE wallets_seen; Type: ACL; Schema: raw; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE raw.wallets_seen TO zmart_ingest;
GRANT SELECT ON TABLE raw.wallets_seen TO zmart_keeper;
GRANT SELECT ON TABLE raw.wallets_seen TO zmart_api;
GRANT SELECT ON TABLE raw.wallets_seen TO analyst;

--
-- Name: FUNCTION current_wallet_no(); Type: ACL; Schema: app; Owner: -
--

REVOKE ALL ON FUNCTION app.current_wallet_no() FROM PUBLIC;
GRANT ALL ON FUNCTION app.current_wallet_no() TO zmart_api;

--
-- Name: FUNCTION delete_comment(p_comment_no bigint); Type: ACL; Schema: app; Owner: -
--

REVOKE ALL ON FUNCTION app.delete_comment(p_comment_no bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION app.delete_comment(p_comment_no bigint) TO zmart_api;

--
-- Name: FUNCTION edit_comment(p_comment_no bigint, p_content text); Type: ACL; Schema: app; Owner: -
--

REVOKE ALL ON FUNCTION app.edit_comment(p_comment_no bigint, p_content text) FROM PUBLIC;
GRANT ALL ON FUNCTION app.edit_comment(p_comment_no bigint, p_content text) TO zmart_api;

--
-- Name: FUNCTION flag_comment(p_comment_no bigint, p_reason text); Type: ACL; Schema: app; Owner: -
--

REVOKE ALL ON FUNCTION app.flag_comment(p_comment_no bigint, p_reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION app.flag_comment(p_comment_no bigint, p_reason text) TO zmart_api;

--
-- Name: FUNCTION forget_expired(); Type: ACL; Schema: app; Owner: -
--

REVOKE ALL ON FUNCTION app.forget_expired() FROM PUBLIC;

--
-- Name: FUNCTION lease_allowance(p_bucket text, p_limit integer, p_wanted integer, p_window_seconds integer, OUT granted integer, OUT remaining integer, OUT resets_in double precision); Type: ACL; Schema: app; Owner: -
--

REVOKE ALL ON FUNCTION app.lease_allowance(p_bucket text, p_limit integer, p_wanted integer, p_window_seconds integer, OUT granted integer, OUT remaining integer, OUT resets_in double precision) FROM PUBLIC;
GRANT ALL ON FUNCTION app.lease_allowance(p_bucket text, p_limit integer, p_wanted integer, p_window_seconds integer, OUT granted integer, OUT remaining integer, OUT resets_in double precision) TO zmart_api;

--
-- Name: FUNCTION name_the_teller(); Type: ACL; Schema: app; Owner: -
--

REVOKE ALL ON FUNCTION app.name_the_teller() FROM PUBLIC;

--
-- Name: FUNCTION open_session(p_nonce text, p_nonce_expires_at timestamp with time zone, p_refresh_hash bytea, p_expires_at timestamp with time zone); Type: ACL; Schema: app; Owner: -
--

REVOKE ALL ON FUNCTION app.open_session(p_nonce text, p_nonce_expires_at timestamp with time zone, p_refresh_hash bytea, p_expires_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION app.open_session(p_nonce text, p_nonce_expires_at timestamp with time zone, p_refresh_hash bytea, p_expires_at timestamp with time zone) TO zmart_api;

--
-- Name: FUNCTION own_number(); Type: ACL; Schema: app; Owner: -
--

REVOKE ALL ON FUNCTION app.own_number() FROM PUBLIC;

--
-- Name: FUNCTION post_comment(p_market text, p_content text, p_parent_no bigint); Type: ACL; Schema: app; Owner: -
--

REVOKE ALL ON FUNCTION app.post_comment(p_market text, p_content text, p_parent_no bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION app.post_comment(p_market text, p_content text, p_parent_no bigint) TO zmart_api;

--
-- Name: FUNCTION react(p_comment_no bigint, p_vote text); Type: ACL; Schema: app; Owner: -
--

REVOKE ALL ON FUNCTION app.react(p_comment_no bigint, p_vote text) FROM PUBLIC;
GRANT ALL ON FUNCTION app.react(p_comment_no bigint, p_vote text) TO zmart_api;

--
-- Name: FUNCTION redeem_nonce(p_nonce text, p_expires_at timestamp with time zone); Type: ACL; Schema: app; Owner: -
--

REVOKE ALL ON FUNCTION app.redeem_nonce(p_nonce text, p_expires_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION app.redeem_nonce(p_nonce text, p_expires_at timestamp with time zone) TO zmart_api;

--
-- Name: FUNCTION require_content(p_content text); Type: ACL; Schema: app; Owner: -
--

REVOKE ALL ON FUNCTION app.require_content(p_content text) FROM PUBLIC;

--
-- Name: FUNCTION require_wallet(); Type: ACL; Schema: app; Owner: -
--

REVOKE ALL ON FUNCTION app.require_wallet() FROM PUBLIC;

--
-- Name: FUNCTION rotate_session(p_refresh_hash bytea, p_next_hash bytea, p_expires_at timestamp with time zone, OUT outcome text, OUT family_id uuid); Type: ACL; Schema: app; Owner: -
--

REVOKE ALL ON FUNCTION app.rotate_session(p_refresh_hash bytea, p_next_hash bytea, p_expires_at timestamp with time zone, OUT outcome text, OUT family_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION app.rotate_session(p_refresh_hash bytea, p_next_hash bytea, p_expires_at timestamp with time zone, OUT outcome text, OUT family_id uuid) TO zmart_api;

--
-- Name: TABLE comments; Type: ACL; Schema: app; Owner: -
--

GRANT SELECT ON TABLE app.comments TO zmart_api;

--
-- Name: FUNCTION say(p_kind text, p_comment app.comments, p_wallet_no integer); Type: ACL; Schema: app; Owner: -
--

REVOKE ALL ON FUNCTION app.say(p_kind text, p_comment app.comments, p_wallet_no integer) FROM PUBLIC;

--
-- Name: FUNCTION set_market_metadata(p_market_id text, p_question text, p_description text, p_category text, p_tags text[], p_ends_at timestamp with time zone, p_question_cid text); Type: ACL; Schema: app; Owner: -
--

REVOKE ALL ON FUNCTION app.set_market_metadata(p_market_id text, p_question text, p_description text, p_category text, p_tags text[], p_ends_at timestamp with time zone, p_question_cid text) FROM PUBLIC;
GRANT ALL ON FUNCTION app.set_market_metadata(p_market_id text, p_question text, p_description text, p_category text, p_tags text[], p_ends_at timestamp with time zone, p_question_cid text) TO zmart_api;

--
-- Name: FUNCTION standing_comment(p_comment_no bigint); Type: ACL; Schema: app; Owner: -
--

REVOKE ALL ON FUNCTION app.standing_comment(p_comment_no bigint) FROM PUBLIC;

--
-- Name: FUNCTION as_of_sql(p_sql text); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.as_of_sql(p_sql text) FROM PUBLIC;

--
-- Name: FUNCTION average_cost_step(p_state numeric[], p_before numeric[], p_is_buy boolean, p_is_yes boolean, p_shares numeric, p_lamports numeric); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.average_cost_step(p_state numeric[], p_before numeric[], p_is_buy boolean, p_is_yes boolean, p_shares numeric, p_lamports numeric) FROM PUBLIC;

--
-- Name: TABLE models; Type: ACL; Schema: ops; Owner: -
--

GRANT SELECT ON TABLE ops.models TO zmart_ingest;
GRANT SELECT ON TABLE ops.models TO zmart_api;
GRANT SELECT ON TABLE ops.models TO analyst;
GRANT SELECT ON TABLE ops.models TO zmart_keeper;

--
-- Name: FUNCTION catch_up(p_target text, p_model ops.models, p_from bigint, p_to bigint); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.catch_up(p_target text, p_model ops.models, p_from bigint, p_to bigint) FROM PUBLIC;

--
-- Name: FUNCTION columns_of(p_table regclass); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.columns_of(p_table regclass) FROM PUBLIC;

--
-- Name: FUNCTION write_as_of(p_mart text, p_select text); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.write_as_of(p_mart text, p_select text) FROM PUBLIC;

--
-- Name: FUNCTION create_as_of(p_model text, p_fold text); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.create_as_of(p_model text, p_fold text) FROM PUBLIC;

--
-- Name: FUNCTION create_dispatcher(); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.create_dispatcher() FROM PUBLIC;

--
-- Name: FUNCTION create_functions(m ops.models); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.create_functions(m ops.models) FROM PUBLIC;

--
-- Name: FUNCTION create_stage(p_name text, p_sql text); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.create_stage(p_name text, p_sql text) FROM PUBLIC;

--
-- Name: FUNCTION distinct_sql(p_columns text[]); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.distinct_sql(p_columns text[]) FROM PUBLIC;

--
-- Name: FUNCTION join_sql(p_key text[]); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.join_sql(p_key text[]) FROM PUBLIC;

--
-- Name: FUNCTION difference_sql(m ops.models); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.difference_sql(m ops.models) FROM PUBLIC;

--
-- Name: FUNCTION differences(p_name text); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.differences(p_name text) FROM PUBLIC;

--
-- Name: FUNCTION drop_stages(); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.drop_stages() FROM PUBLIC;

--
-- Name: TABLE events; Type: ACL; Schema: raw; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE raw.events TO zmart_ingest;
GRANT SELECT ON TABLE raw.events TO zmart_keeper;
GRANT SELECT ON TABLE raw.events TO zmart_api;
GRANT SELECT ON TABLE raw.events TO analyst;

--
-- Name: FUNCTION fees_in_force(p_order_key bigint); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.fees_in_force(p_order_key bigint) FROM PUBLIC;

--
-- Name: FUNCTION finish_beside(p_beside text, p_after text[]); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.finish_beside(p_beside text, p_after text[]) FROM PUBLIC;

--
-- Name: FUNCTION first_failing(p_model text, p_from bigint, p_to bigint); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.first_failing(p_model text, p_from bigint, p_to bigint) FROM PUBLIC;

--
-- Name: FUNCTION fold(p_from bigint, p_to bigint); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.fold(p_from bigint, p_to bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION folds.fold(p_from bigint, p_to bigint) TO zmart_ingest;

--
-- Name: FUNCTION indexes_of(p_table regclass); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.indexes_of(p_table regclass) FROM PUBLIC;

--
-- Name: TABLE refreshed; Type: ACL; Schema: ops; Owner: -
--

GRANT SELECT ON TABLE ops.refreshed TO zmart_ingest;
GRANT SELECT ON TABLE ops.refreshed TO zmart_keeper;
GRANT SELECT ON TABLE ops.refreshed TO zmart_api;
GRANT SELECT ON TABLE ops.refreshed TO analyst;

--
-- Name: FUNCTION index_changes(); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.index_changes() FROM PUBLIC;

--
-- Name: FUNCTION install(m ops.models, p_create text, p_after text[]); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.install(m ops.models, p_create text, p_after text[]) FROM PUBLIC;

--
-- Name: FUNCTION install_refreshed(r ops.refreshed, p_create text, p_after text[]); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.install_refreshed(r ops.refreshed, p_create text, p_after text[]) FROM PUBLIC;

--
-- Name: FUNCTION is_environmental(p_sqlstate text); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.is_environmental(p_sqlstate text) FROM PUBLIC;

--
-- Name: FUNCTION is_out_of_time(p_words text, p_began timestamp with time zone); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.is_out_of_time(p_words text, p_began timestamp with time zone) FROM PUBLIC;

--
-- Name: FUNCTION mark_behind(p_model text, p_applied_seq bigint, p_failed_event bigint, p_sqlstate text, p_reason text, p_seconds double precision); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.mark_behind(p_model text, p_applied_seq bigint, p_failed_event bigint, p_sqlstate text, p_reason text, p_seconds double precision) FROM PUBLIC;

--
-- Name: FUNCTION mark_stale(p_model text, p_applied_seq bigint, p_failed_event bigint, p_reason text); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.mark_stale(p_model text, p_applied_seq bigint, p_failed_event bigint, p_reason text) FROM PUBLIC;

--
-- Name: FUNCTION rebuild(p_name text); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.rebuild(p_name text) FROM PUBLIC;

--
-- Name: FUNCTION recompute(r ops.refreshed); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.recompute(r ops.refreshed) FROM PUBLIC;

--
-- Name: FUNCTION refresh(p_name text); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.refresh(p_name text) FROM PUBLIC;

--
-- Name: FUNCTION repriced(p_from bigint, p_to bigint, p_touched bigint[], p_all boolean); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.repriced(p_from bigint, p_to bigint, p_touched bigint[], p_all boolean) FROM PUBLIC;

--
-- Name: FUNCTION retold(p_from bigint, p_to bigint, p_touched bigint[], p_all boolean); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.retold(p_from bigint, p_to bigint, p_touched bigint[], p_all boolean) FROM PUBLIC;

--
-- Name: FUNCTION retry_behind(); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.retry_behind() FROM PUBLIC;
GRANT ALL ON FUNCTION folds.retry_behind() TO zmart_ingest;

--
-- Name: FUNCTION standing_on(p_table regclass); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.standing_on(p_table regclass) FROM PUBLIC;

--
-- Name: FUNCTION swap(p_name text); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.swap(p_name text) FROM PUBLIC;

--
-- Name: FUNCTION touched(p_from bigint, p_to bigint, p_fee_sensitive boolean, p_all boolean); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.touched(p_from bigint, p_to bigint, p_fee_sensitive boolean, p_all boolean) FROM PUBLIC;

--
-- Name: FUNCTION windowed(p_sql text, p_window text); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.windowed(p_sql text, p_window text) FROM PUBLIC;

--
-- Name: FUNCTION exp(x numeric); Type: ACL; Schema: lmsr; Owner: -
--

REVOKE ALL ON FUNCTION lmsr.exp(x numeric) FROM PUBLIC;
GRANT ALL ON FUNCTION lmsr.exp(x numeric) TO zmart_ingest;
GRANT ALL ON FUNCTION lmsr.exp(x numeric) TO zmart_keeper;
GRANT ALL ON FUNCTION lmsr.exp(x numeric) TO zmart_api;
GRANT ALL ON FUNCTION lmsr.exp(x numeric) TO analyst;

--
-- Name: FUNCTION is_u64(x numeric); Type: ACL; Schema: lmsr; Owner: -
--

REVOKE ALL ON FUNCTION lmsr.is_u64(x numeric) FROM PUBLIC;
GRANT ALL ON FUNCTION lmsr.is_u64(x numeric) TO zmart_ingest;
GRANT ALL ON FUNCTION lmsr.is_u64(x numeric) TO zmart_keeper;
GRANT ALL ON FUNCTION lmsr.is_u64(x numeric) TO zmart_api;
GRANT ALL ON FUNCTION lmsr.is_u64(x numeric) TO analyst;

--
-- Name: FUNCTION ln(x numeric); Type: ACL; Schema: lmsr; Owner: -
--

REVOKE ALL ON FUNCTION lmsr.ln(x numeric) FROM PUBLIC;
GRANT ALL ON FUNCTION lmsr.ln(x numeric) TO zmart_ingest;
GRANT ALL ON FUNCTION lmsr.ln(x numeric) TO zmart_keeper;
GRANT ALL ON FUNCTION lmsr.ln(x numeric) TO zmart_api;
GRANT ALL ON FUNCTION lmsr.ln(x numeric) TO analyst;

--
-- Name: FUNCTION cost(q_yes numeric, q_no numeric, b numeric); Type: ACL; Schema: lmsr; Owner: -
--

REVOKE ALL ON FUNCTION lmsr.cost(q_yes numeric, q_no numeric, b numeric) FROM PUBLIC;
GRANT ALL ON FUNCTION lmsr.cost(q_yes numeric, q_no numeric, b numeric) TO zmart_ingest;
GRANT ALL ON FUNCTION lmsr.cost(q_yes numeric, q_no numeric, b numeric) TO zmart_keeper;
GRANT ALL ON FUNCTION lmsr.cost(q_yes numeric, q_no numeric, b numeric) TO zmart_api;
GRANT ALL ON FUNCTION lmsr.cost(q_yes numeric, q_no numeric, b numeric) TO analyst;

--
-- Name: FUNCTION price_yes(q_yes numeric, q_no numeric, b numeric); Type: ACL; Schema: lmsr; Owner: -
--

REVOKE ALL ON FUNCTION lmsr.price_yes(q_yes numeric, q_no numeric, b numeric) FROM PUBLIC;
GRANT ALL ON FUNCTION lmsr.price_yes(q_yes numeric, q_no numeric, b numeric) TO zmart_ingest;
GRANT ALL ON FUNCTION lmsr.price_yes(q_yes numeric, q_no numeric, b numeric) TO zmart_keeper;
GRANT ALL ON FUNCTION lmsr.price_yes(q_yes numeric, q_no numeric, b numeric) TO zmart_api;
GRANT ALL ON FUNCTION lmsr.price_yes(q_yes numeric, q_no numeric, b numeric) TO analyst;

--
-- Name: FUNCTION proceeds(q_yes numeric, q_no numeric, b numeric, is_yes boolean, shares numeric); Type: ACL; Schema: lmsr; Owner: -
--

REVOKE ALL ON FUNCTION lmsr.proceeds(q_yes numeric, q_no numeric, b numeric, is_yes boolean, shares numeric) FROM PUBLIC;
GRANT ALL ON FUNCTION lmsr.proceeds(q_yes numeric, q_no numeric, b numeric, is_yes boolean, shares numeric) TO zmart_ingest;
GRANT ALL ON FUNCTION lmsr.proceeds(q_yes numeric, q_no numeric, b numeric, is_yes boolean, shares numeric) TO zmart_keeper;
GRANT ALL ON FUNCTION lmsr.proceeds(q_yes numeric, q_no numeric, b numeric, is_yes boolean, shares numeric) TO zmart_api;
GRANT ALL ON FUNCTION lmsr.proceeds(q_yes numeric, q_no numeric, b numeric, is_yes boolean, shares numeric) TO analyst;

--
-- Name: TABLE alerts; Type: ACL; Schema: ops; Owner: -
--

GRANT SELECT ON TABLE ops.alerts TO zmart_ingest;
GRANT SELECT ON TABLE ops.alerts TO zmart_api;
GRANT SELECT ON TABLE ops.alerts TO analyst;
GRANT SELECT,INSERT,UPDATE ON TABLE ops.alerts TO zmart_keeper;

--
-- Name: FUNCTION acknowledge_alert(p_alert_no bigint, p_by text); Type: ACL; Schema: ops; Owner: -
--

REVOKE ALL ON FUNCTION ops.acknowledge_alert(p_alert_no bigint, p_by text) FROM PUBLIC;
GRANT ALL ON FUNCTION ops.acknowledge_alert(p_alert_no bigint, p_by text) TO zmart_keeper;

--
-- Name: TABLE answered; Type: ACL; Schema: ops; Owner: -
--

GRANT SELECT ON TABLE ops.answered TO zmart_ingest;
GRANT SELECT ON TABLE ops.answered TO zmart_keeper;
GRANT SELECT ON TABLE ops.answered TO zmart_api;
GRANT SELECT ON TABLE ops.answered TO analyst;

--
-- Name: TABLE feed; Type: ACL; Schema: raw; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE raw.feed TO zmart_ingest;
GRANT SELECT ON TABLE raw.feed TO zmart_keeper;
GRANT SELECT ON TABLE raw.feed TO zmart_api;
GRANT SELECT ON TABLE raw.feed TO analyst;

--
-- Name: TABLE identity; Type: ACL; Schema: raw; Owner: -
--

GRANT SELECT ON TABLE raw.identity TO zmart_ingest;
GRANT SELECT ON TABLE raw.identity TO zmart_keeper;
GRANT SELECT ON TABLE raw.identity TO zmart_api;
GRANT SELECT ON TABLE raw.identity TO analyst;

--
-- Name: COLUMN identity.genesis_hash; Type: ACL; Schema: raw; Owner: -
--

GRANT UPDATE(genesis_hash) ON TABLE raw.identity TO zmart_ingest;

--
-- Name: COLUMN identity.program_id; Type: ACL; Schema: raw; Owner: -
--

GRANT UPDATE(program_id) ON TABLE raw.identity TO zmart_ingest;

--
-- Name: FUNCTION as_of(p_models text[]); Type: ACL; Schema: ops; Owner: -
--

REVOKE ALL ON FUNCTION ops.as_of(p_models text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION ops.as_of(p_models text[]) TO zmart_ingest;
GRANT ALL ON FUNCTION ops.as_of(p_models text[]) TO zmart_keeper;
GRANT ALL ON FUNCTION ops.as_of(p_models text[]) TO zmart_api;
GRANT ALL ON FUNCTION ops.as_of(p_models text[]) TO analyst;

--
-- Name: FUNCTION day_is_over(p_day date); Type: ACL; Schema: ops; Owner: -
--

REVOKE ALL ON FUNCTION ops.day_is_over(p_day date) FROM PUBLIC;
GRANT ALL ON FUNCTION ops.day_is_over(p_day date) TO zmart_keeper;

--
-- Name: TABLE comment_edits; Type: ACL; Schema: app; Owner: -
--

GRANT SELECT ON TABLE app.comment_edits TO zmart_api;

--
-- Name: FUNCTION days_discussed(p_from date); Type: ACL; Schema: ops; Owner: -
--

REVOKE ALL ON FUNCTION ops.days_discussed(p_from date) FROM PUBLIC;
GRANT ALL ON FUNCTION ops.days_discussed(p_from date) TO zmart_keeper;

--
-- Name: TABLE markets_seen; Type: ACL; Schema: raw; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE raw.markets_seen TO zmart_ingest;
GRANT SELECT ON TABLE raw.markets_seen TO zmart_keeper;
GRANT SELECT ON TABLE raw.markets_seen TO zmart_api;
GRANT SELECT ON TABLE raw.markets_seen TO analyst;

--
-- Name: FUNCTION discussion_on(p_day date); Type: ACL; Schema: ops; Owner: -
--

REVOKE ALL ON FUNCTION ops.discussion_on(p_day date) FROM PUBLIC;
GRANT ALL ON FUNCTION ops.discussion_on(p_day date) TO zmart_keeper;

--
-- Name: TABLE leases; Type: ACL; Schema: ops; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE ops.leases TO zmart_keeper;

--
-- Name: FUNCTION give_lease(p_name text, p_epoch bigint); Type: ACL; Schema: ops; Owner: -
--

REVOKE ALL ON FUNCTION ops.give_lease(p_name text, p_epoch bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION ops.give_lease(p_name text, p_epoch bigint) TO zmart_keeper;

--
-- Name: FUNCTION keep_lease(p_name text, p_epoch bigint, p_seconds double precision); Type: ACL; Schema: ops; Owner: -
--

REVOKE ALL ON FUNCTION ops.keep_lease(p_name text, p_epoch bigint, p_seconds double precision) FROM PUBLIC;
GRANT ALL ON FUNCTION ops.keep_lease(p_name text, p_epoch bigint, p_seconds double precision) TO zmart_keeper;

--
-- Name: FUNCTION open_intent(p_lease text, p_epoch bigint, p_market_no integer, p_action text, p_arguments jsonb, p_plan jsonb); Type: ACL; Schema: ops; Owner: -
--

REVOKE ALL ON FUNCTION ops.open_intent(p_lease text, p_epoch bigint, p_market_no integer, p_action text, p_arguments jsonb, p_plan jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION ops.open_intent(p_lease text, p_epoch bigint, p_market_no integer, p_action text, p_arguments jsonb, p_plan jsonb) TO zmart_keeper;

--
-- Name: FUNCTION raise_alert(p_kind text, p_subject text, p_severity text, p_message text); Type: ACL; Schema: ops; Owner: -
--

REVOKE ALL ON FUNCTION ops.raise_alert(p_kind text, p_subject text, p_severity text, p_message text) FROM PUBLIC;
GRANT ALL ON FUNCTION ops.raise_alert(p_kind text, p_subject text, p_severity text, p_message text) TO zmart_ingest;
GRANT ALL ON FUNCTION ops.raise_alert(p_kind text, p_subject text, p_severity text, p_message text) TO zmart_keeper;

--
-- Name: TABLE intents; Type: ACL; Schema: ops; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE ops.intents TO zmart_keeper;
GRANT SELECT ON TABLE ops.intents TO zmart_api;
GRANT SELECT ON TABLE ops.intents TO analyst;

--
-- Name: TABLE submissions; Type: ACL; Schema: ops; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE ops.submissions TO zmart_keeper;

--
-- Name: COLUMN submissions.signature; Type: ACL; Schema: ops; Owner: -
--

GRANT SELECT(signature) ON TABLE ops.submissions TO zmart_api;
GRANT SELECT(signature) ON TABLE ops.submissions TO analyst;

--
-- Name: COLUMN submissions.intent_no; Type: ACL; Schema: ops; Owner: -
--

GRANT SELECT(intent_no) ON TABLE ops.submissions TO zmart_api;
GRANT SELECT(intent_no) ON TABLE ops.submissions TO analyst;

--
-- Name: COLUMN submissions.stored_at; Type: ACL; Schema: ops; Owner: -
--

GRANT SELECT(stored_at) ON TABLE ops.submissions TO zmart_api;
GRANT SELECT(stored_at) ON TABLE ops.submissions TO analyst;

--
-- Name: COLUMN submissions.sent_at; Type: ACL; Schema: ops; Owner: -
--

GRANT SELECT(sent_at) ON TABLE ops.submissions TO zmart_api;
GRANT SELECT(sent_at) ON TABLE ops.submissions TO analyst;

--
-- Name: COLUMN submissions.ended_at; Type: ACL; Schema: ops; Owner: -
--

GRANT SELECT(ended_at) ON TABLE ops.submissions TO zmart_api;
GRANT SELECT(ended_at) ON TABLE ops.submissions TO analyst;

--
-- Name: COLUMN submissions.ending; Type: ACL; Schema: ops; Owner: -
--

GRANT SELECT(ending) ON TABLE ops.submissions TO zmart_api;
GRANT SELECT(ending) ON TABLE ops.submissions TO analyst;

--
-- Name: COLUMN submissions.fee_lamports; Type: ACL; Schema: ops; Owner: -
--

GRANT SELECT(fee_lamports) ON TABLE ops.submissions TO zmart_api;
GRANT SELECT(fee_lamports) ON TABLE ops.submissions TO analyst;

--
-- Name: COLUMN submissions.payer; Type: ACL; Schema: ops; Owner: -
--

GRANT SELECT(payer) ON TABLE ops.submissions TO zmart_api;
GRANT SELECT(payer) ON TABLE ops.submissions TO analyst;

--
-- Name: COLUMN submissions.slot; Type: ACL; Schema: ops; Owner: -
--

GRANT SELECT(slot) ON TABLE ops.submissions TO zmart_api;
GRANT SELECT(slot) ON TABLE ops.submissions TO analyst;

--
-- Name: FUNCTION release_intent(p_intent_no bigint, p_who text); Type: ACL; Schema: ops; Owner: -
--

REVOKE ALL ON FUNCTION ops.release_intent(p_intent_no bigint, p_who text) FROM PUBLIC;
GRANT ALL ON FUNCTION ops.release_intent(p_intent_no bigint, p_who text) TO zmart_keeper;

--
-- Name: TABLE transactions; Type: ACL; Schema: raw; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE raw.transactions TO zmart_ingest;
GRANT SELECT ON TABLE raw.transactions TO zmart_keeper;
GRANT SELECT ON TABLE raw.transactions TO zmart_api;
GRANT SELECT ON TABLE raw.transactions TO analyst;

--
-- Name: FUNCTION reopen_retracted(); Type: ACL; Schema: ops; Owner: -
--

REVOKE ALL ON FUNCTION ops.reopen_retracted() FROM PUBLIC;
GRANT ALL ON FUNCTION ops.reopen_retracted() TO zmart_keeper;

--
-- Name: FUNCTION require_lease(p_name text, p_epoch bigint); Type: ACL; Schema: ops; Owner: -
--

REVOKE ALL ON FUNCTION ops.require_lease(p_name text, p_epoch bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION ops.require_lease(p_name text, p_epoch bigint) TO zmart_keeper;

--
-- Name: FUNCTION resolve_alert(p_kind text, p_subject text); Type: ACL; Schema: ops; Owner: -
--

REVOKE ALL ON FUNCTION ops.resolve_alert(p_kind text, p_subject text) FROM PUBLIC;
GRANT ALL ON FUNCTION ops.resolve_alert(p_kind text, p_subject text) TO zmart_ingest;
GRANT ALL ON FUNCTION ops.resolve_alert(p_kind text, p_subject text) TO zmart_keeper;

--
-- Name: FUNCTION store_submission(p_lease text, p_epoch bigint, p_intent_no bigint, p_signature text, p_bytes bytea, p_last_valid_block_height bigint, p_payer text, p_fee_lamports bigint, p_units integer, p_budget_lamports bigint); Type: ACL; Schema: ops; Owner: -
--

REVOKE ALL ON FUNCTION ops.store_submission(p_lease text, p_epoch bigint, p_intent_no bigint, p_signature text, p_bytes bytea, p_last_valid_block_height bigint, p_payer text, p_fee_lamports bigint, p_units integer, p_budget_lamports bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION ops.store_submission(p_lease text, p_epoch bigint, p_intent_no bigint, p_signature text, p_bytes bytea, p_last_valid_block_height bigint, p_payer text, p_fee_lamports bigint, p_units integer, p_budget_lamports bigint) TO zmart_keeper;

--
-- Name: FUNCTION take_lease(p_name text, p_holder text, p_seconds double precision); Type: ACL; Schema: ops; Owner: -
--

REVOKE ALL ON FUNCTION ops.take_lease(p_name text, p_holder text, p_seconds double precision) FROM PUBLIC;
GRANT ALL ON FUNCTION ops.take_lease(p_name text, p_holder text, p_seconds double precision) TO zmart_keeper;

--
-- Name: FUNCTION append(p_source text, p_signatures text[], p_slots bigint[], p_indexes integer[], p_block_times bigint[], p_errs text[], p_fees text[], p_digests bytea[], p_sightings integer[], p_bundles bytea[], p_bundled integer[], p_starts integer[], p_lengths integer[], p_owners integer[], p_event_signatures text[], p_order_keys bigint[], p_ordinals integer[], p_names text[], p_clocks bigint[], p_payloads jsonb[], p_contexts jsonb[], p_market_nos integer[], p_accounts text[], p_market_ids text[], p_wallet_nos integer[], p_wallets text[], p_wanted text[], OUT o_head bigint, OUT o_last bigint, OUT o_events integer, OUT o_fresh integer[], OUT o_differing integer[], OUT o_aside integer, OUT o_accounts text[], OUT o_market_nos integer[], OUT o_identified boolean[], OUT o_wallets text[], OUT o_wallet_nos integer[], OUT o_lock_wait_seconds double precision, OUT o_folds_seconds double precision, OUT o_lock_held_seconds double precision); Type: ACL; Schema: raw; Owner: -
--

REVOKE ALL ON FUNCTION raw.append(p_source text, p_signatures text[], p_slots bigint[], p_indexes integer[], p_block_times bigint[], p_errs text[], p_fees text[], p_digests bytea[], p_sightings integer[], p_bundles bytea[], p_bundled integer[], p_starts integer[], p_lengths integer[], p_owners integer[], p_event_signatures text[], p_order_keys bigint[], p_ordinals integer[], p_names text[], p_clocks bigint[], p_payloads jsonb[], p_contexts jsonb[], p_market_nos integer[], p_accounts text[], p_market_ids text[], p_wallet_nos integer[], p_wallets text[], p_wanted text[], OUT o_head bigint, OUT o_last bigint, OUT o_events integer, OUT o_fresh integer[], OUT o_differing integer[], OUT o_aside integer, OUT o_accounts text[], OUT o_market_nos integer[], OUT o_identified boolean[], OUT o_wallets text[], OUT o_wallet_nos integer[], OUT o_lock_wait_seconds double precision, OUT o_folds_seconds double precision, OUT o_lock_held_seconds double precision) FROM PUBLIC;
GRANT ALL ON FUNCTION raw.append(p_source text, p_signatures text[], p_slots bigint[], p_indexes integer[], p_block_times bigint[], p_errs text[], p_fees text[], p_digests bytea[], p_sightings integer[], p_bundles bytea[], p_bundled integer[], p_starts integer[], p_lengths integer[], p_owners integer[], p_event_signatures text[], p_order_keys bigint[], p_ordinals integer[], p_names text[], p_clocks bigint[], p_payloads jsonb[], p_contexts jsonb[], p_market_nos integer[], p_accounts text[], p_market_ids text[], p_wallet_nos integer[], p_wallets text[], p_wanted text[], OUT o_head bigint, OUT o_last bigint, OUT o_events integer, OUT o_fresh integer[], OUT o_differing integer[], OUT o_aside integer, OUT o_accounts text[], OUT o_market_nos integer[], OUT o_identified boolean[], OUT o_wallets text[], OUT o_wallet_nos integer[], OUT o_lock_wait_seconds double precision, OUT o_folds_seconds double precision, OUT o_lock_held_seconds double precision) TO zmart_ingest;

--
-- Name: FUNCTION append_events(p_numbers bigint[], p_left bigint[], p_owners integer[], p_signatures text[], p_order_keys bigint[], p_ordinals integer[], p_names text[], p_clocks bigint[], p_payloads jsonb[], p_contexts jsonb[], p_market_nos integer[], p_accounts text[], p_market_ids text[], p_wallet_nos integer[], p_wallets text[], OUT o_events integer, OUT o_accounts text[], OUT o_market_nos integer[], OUT o_identified boolean[], OUT o_wallets text[], OUT o_wallet_nos integer[]); Type: ACL; Schema: raw; Owner: -
--

REVOKE ALL ON FUNCTION raw.append_events(p_numbers bigint[], p_left bigint[], p_owners integer[], p_signatures text[], p_order_keys bigint[], p_ordinals integer[], p_names text[], p_clocks bigint[], p_payloads jsonb[], p_contexts jsonb[], p_market_nos integer[], p_accounts text[], p_market_ids text[], p_wallet_nos integer[], p_wallets text[], OUT o_events integer, OUT o_accounts text[], OUT o_market_nos integer[], OUT o_identified boolean[], OUT o_wallets text[], OUT o_wallet_nos integer[]) FROM PUBLIC;
GRANT ALL ON FUNCTION raw.append_events(p_numbers bigint[], p_left bigint[], p_owners integer[], p_signatures text[], p_order_keys bigint[], p_ordinals integer[], p_names text[], p_clocks bigint[], p_payloads jsonb[], p_contexts jsonb[], p_market_nos integer[], p_accounts text[], p_market_ids text[], p_wallet_nos integer[], p_wallets text[], OUT o_events integer, OUT o_accounts text[], OUT o_market_nos integer[], OUT o_identified boolean[], OUT o_wallets text[], OUT o_wallet_nos integer[]) TO zmart_ingest;

--
-- Name: FUNCTION colliding(p_after bigint); Type: ACL; Schema: raw; Owner: -
--

REVOKE ALL ON FUNCTION raw.colliding(p_after bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION raw.colliding(p_after bigint) TO zmart_ingest;

--
-- Name: FUNCTION finalized_through(); Type: ACL; Schema: raw; Owner: -
--

REVOKE ALL ON FUNCTION raw.finalized_through() FROM PUBLIC;
GRANT ALL ON FUNCTION raw.finalized_through() TO zmart_ingest;
GRANT ALL ON FUNCTION raw.finalized_through() TO zmart_keeper;
GRANT ALL ON FUNCTION raw.finalized_through() TO zmart_api;
GRANT ALL ON FUNCTION raw.finalized_through() TO analyst;

--
-- Name: FUNCTION keep_statistics(); Type: ACL; Schema: raw; Owner: -
--

REVOKE ALL ON FUNCTION raw.keep_statistics() FROM PUBLIC;
GRANT ALL ON FUNCTION raw.keep_statistics() TO zmart_ingest;

--
-- Name: FUNCTION market_number(p_market text); Type: ACL; Schema: raw; Owner: -
--

REVOKE ALL ON FUNCTION raw.market_number(p_market text) FROM PUBLIC;
GRANT ALL ON FUNCTION raw.market_number(p_market text) TO zmart_ingest;

--
-- Name: FUNCTION next_seq(); Type: ACL; Schema: raw; Owner: -
--

REVOKE ALL ON FUNCTION raw.next_seq() FROM PUBLIC;
GRANT ALL ON FUNCTION raw.next_seq() TO zmart_ingest;

--
-- Name: FUNCTION provisional_index(p_signature text); Type: ACL; Schema: raw; Owner: -
--

REVOKE ALL ON FUNCTION raw.provisional_index(p_signature text) FROM PUBLIC;
GRANT ALL ON FUNCTION raw.provisional_index(p_signature text) TO zmart_ingest;

--
-- Name: FUNCTION renew_identity(); Type: ACL; Schema: raw; Owner: -
--

REVOKE ALL ON FUNCTION raw.renew_identity() FROM PUBLIC;

--
-- Name: FUNCTION separate(p_slots bigint[]); Type: ACL; Schema: raw; Owner: -
--

REVOKE ALL ON FUNCTION raw.separate(p_slots bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION raw.separate(p_slots bigint[]) TO zmart_ingest;

--
-- Name: FUNCTION take_writer(); Type: ACL; Schema: raw; Owner: -
--

REVOKE ALL ON FUNCTION raw.take_writer() FROM PUBLIC;
GRANT ALL ON FUNCTION raw.take_writer() TO zmart_ingest;

--
-- Name: TABLE coverage; Type: ACL; Schema: raw; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE raw.coverage TO zmart_ingest;
GRANT SELECT ON TABLE raw.coverage TO zmart_keeper;
GRANT SELECT ON TABLE raw.coverage TO zmart_api;
GRANT SELECT ON TABLE raw.coverage TO analyst;

--
-- Name: FUNCTION verified_through(); Type: ACL; Schema: raw; Owner: -
--

REVOKE ALL ON FUNCTION raw.verified_through() FROM PUBLIC;
GRANT ALL ON FUNCTION raw.verified_through() TO zmart_ingest;
GRANT ALL ON FUNCTION raw.verified_through() TO zmart_keeper;
GRANT ALL ON FUNCTION raw.verified_through() TO zmart_api;
GRANT ALL ON FUNCTION raw.verified_through() TO analyst;

--
-- Name: FUNCTION wallet_number(p_wallet text); Type: ACL; Schema: raw; Owner: -
--

REVOKE ALL ON FUNCTION raw.wallet_number(p_wallet text) FROM PUBLIC;
GRANT ALL ON FUNCTION raw.wallet_number(p_wallet text) TO zmart_ingest;

--
-- Name: FUNCTION want(p_signatures text[], p_reason text, p_slots bigint[]); Type: ACL; Schema: raw; Owner: -
--

REVOKE ALL ON FUNCTION raw.want(p_signatures text[], p_reason text, p_slots bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION raw.want(p_signatures text[], p_reason text, p_slots bigint[]) TO zmart_ingest;

--
-- Name: FUNCTION average_cost(numeric[], boolean, boolean, numeric, numeric); Type: ACL; Schema: folds; Owner: -
--

REVOKE ALL ON FUNCTION folds.average_cost(numeric[], boolean, boolean, numeric, numeric) FROM PUBLIC;

--
-- Name: TABLE ballots; Type: ACL; Schema: app; Owner: -
--

GRANT SELECT ON TABLE app.ballots TO zmart_api;

--
-- Name: TABLE flags; Type: ACL; Schema: app; Owner: -
--

GRANT SELECT ON TABLE app.flags TO zmart_api;

--
-- Name: TABLE market_metadata; Type: ACL; Schema: app; Owner: -
--

GRANT SELECT ON TABLE app.market_metadata TO zmart_api;

--
-- Name: TABLE reactions; Type: ACL; Schema: app; Owner: -
--

GRANT SELECT ON TABLE app.reactions TO zmart_api;

--
-- Name: TABLE redeemed_nonces; Type: ACL; Schema: app; Owner: -
--

GRANT SELECT ON TABLE app.redeemed_nonces TO zmart_api;

--
-- Name: TABLE sessions; Type: ACL; Schema: app; Owner: -
--

GRANT SELECT ON TABLE app.sessions TO zmart_api;

--
-- Name: TABLE wallets; Type: ACL; Schema: app; Owner: -
--

GRANT SELECT ON TABLE app.wallets TO zmart_api;

--
-- Name: TABLE cursors; Type: ACL; Schema: ops; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE ops.cursors TO zmart_ingest;
GRANT SELECT,INSERT,UPDATE ON TABLE ops.cursors TO zmart_keeper;
GRANT SELECT ON TABLE ops.cursors TO zmart_api;
GRANT SELECT ON TABLE ops.cursors TO analyst;

--
-- Name: TABLE model_status; Type: ACL; Schema: ops; Owner: -
--

GRANT SELECT ON TABLE ops.model_status TO zmart_ingest;
GRANT SELECT ON TABLE ops.model_status TO zmart_api;
GRANT SELECT ON TABLE ops.model_status TO analyst;
GRANT SELECT ON TABLE ops.model_status TO zmart_keeper;

--
-- Name: TABLE settings; Type: ACL; Schema: ops; Owner: -
--

GRANT SELECT ON TABLE ops.settings TO zmart_ingest;
GRANT SELECT ON TABLE ops.settings TO zmart_api;
GRANT SELECT ON TABLE ops.settings TO analyst;
GRANT SELECT ON TABLE ops.settings TO zmart_keeper;

--
-- Name: TABLE snapshots; Type: ACL; Schema: ops; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE ops.snapshots TO zmart_keeper;
GRANT SELECT ON TABLE ops.snapshots TO zmart_api;
GRANT SELECT ON TABLE ops.snapshots TO analyst;

--
-- Name: TABLE uncompared; Type: ACL; Schema: ops; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE ops.uncompared TO zmart_keeper;

--
-- Name: TABLE accounts; Type: ACL; Schema: raw; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE raw.accounts TO zmart_ingest;
GRANT SELECT,INSERT,DELETE ON TABLE raw.accounts TO zmart_keeper;

--
-- Name: TABLE bundles; Type: ACL; Schema: raw; Owner: -
--

GRANT SELECT,INSERT ON TABLE raw.bundles TO zmart_ingest;
GRANT SELECT ON TABLE raw.bundles TO zmart_keeper;
GRANT SELECT ON TABLE raw.bundles TO zmart_api;
GRANT SELECT ON TABLE raw.bundles TO analyst;

--
-- Name: TABLE dead_letters; Type: ACL; Schema: raw; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE raw.dead_letters TO zmart_ingest;
GRANT SELECT ON TABLE raw.dead_letters TO zmart_api;
GRANT SELECT ON TABLE raw.dead_letters TO zmart_keeper;
GRANT SELECT ON TABLE raw.dead_letters TO analyst;

--
-- Name: TABLE suspects; Type: ACL; Schema: raw; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE raw.suspects TO zmart_ingest;
GRANT SELECT ON TABLE raw.suspects TO zmart_keeper;
GRANT SELECT ON TABLE raw.suspects TO zmart_api;
GRANT SELECT ON TABLE raw.suspects TO analyst;

--
-- Name: TABLE wanted; Type: ACL; Schema: raw; Owner: -
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE raw.wanted TO zmart_ingest;
GRANT SELECT ON TABLE raw.wanted TO zmart_api;
GRANT SELECT ON TABLE raw.wanted TO zmart_keeper;
GRANT SELECT ON TABLE raw.wanted TO analyst;

--
-- Name: TABLE writer; Type: ACL; Schema: raw; Owner: -
--

GRANT SELECT,INSERT,UPDATE ON TABLE raw.writer TO zmart_ingest;

--
-- Name: DEFAULT PRIVILEGES FOR TABLES; Type: DEFAULT ACL; Schema: marts; Owner: -
--

ALTER DEFAULT PRIVILEGES FOR ROLE zmart_owner IN SCHEMA marts GRANT SELECT ON TABLES TO zmart_ingest;
ALTER DEFAULT PRIVILEGES FOR ROLE zmart_owner IN SCHEMA marts GRANT SELECT ON TABLES TO zmart_api;
ALTER DEFAULT PRIVILEGES FOR ROLE zmart_owner IN SCHEMA marts GRANT SELECT ON TABLES TO zmart_keeper;
ALTER DEFAULT PRIVILEGES FOR ROLE zmart_owner IN SCHEMA marts GRANT SELECT ON TABLES TO analyst;

--
-- Name: DEFAULT PRIVILEGES FOR FUNCTIONS; Type: DEFAULT ACL; Schema: -; Owner: -
--

ALTER DEFAULT PRIVILEGES FOR ROLE zmart_owner REVOKE ALL ON FUNCTIONS FROM PUBLIC;

--
-- PostgreSQL database dump complete
--
