-- Discussions beyond the first post: threads, edits with their history, deletion, opinions, reports. And what a market's
-- creator told about it: shown only where it is the creator's, found by its words.

-- Threads. A reply belongs to the thread of the post that began it, however deep it stands.
alter table app.comments add column root_no bigint references app.comments;
alter table app.comments no force row level security;
with recursive threads as (
    select comment_no, comment_no as root_no from app.comments where parent_no is null
    union all
    select c.comment_no, t.root_no from app.comments as c inner join threads as t on c.parent_no = t.comment_no
)
update app.comments as c set root_no = t.root_no from threads as t
where c.comment_no = t.comment_no and c.parent_no is not null;
alter table app.comments force row level security;
alter table app.comments add constraint comments_root_check check ((parent_no is null) = (root_no is null));
comment on column app.comments.root_no is 'The post that began the thread; null for that post itself.';
-- A page of a market's threads, a page of all its posts, a thread's replies.
create index comments_threads on app.comments (market_no, comment_no desc) where root_no is null;
create index comments_newest on app.comments (market_no, comment_no desc);
create index comments_replies on app.comments (root_no, comment_no) where root_no is not null;
create index flags_of on app.flags (wallet_no);

create or replace function app.post_comment(p_market text, p_content text, p_parent_no bigint default null) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
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

create function app.require_content(p_content text) returns void
language plpgsql immutable set search_path = pg_catalog, pg_temp
as $$
begin
    if p_content is null or length(btrim(p_content, E' \t\n\r')) = 0 or length(p_content) > 1000 then
        raise exception 'a comment has 1 to 1000 characters' using errcode = 'ZM422';
    end if;
end
$$;
comment on function app.require_content is 'ZM422 unless a text can be a comment.';

-- What edits, deletions, opinions and reports begin with: the writer's lock, and the comment if it still stands.
create function app.standing_comment(p_comment_no bigint) returns app.comments
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
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
comment on function app.standing_comment is 'A comment that is not deleted, holding raw.writer. ZM404.';

create function app.say(p_kind text, p_comment app.comments, p_wallet_no int) returns bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
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
comment on function app.say is 'Append that something happened to a comment; its seq. Call it holding raw.writer.';

create function app.edit_comment(p_comment_no bigint, p_content text) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
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
comment on function app.edit_comment is
'Change one''s own comment; what it said before is kept. Returns the seq. ZM403 another''s, ZM404 none or deleted, ZM422 unfit text.';

create function app.delete_comment(p_comment_no bigint) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
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
comment on function app.delete_comment is
'Hide one''s own comment; replies stay. Returns the seq. ZM403 another''s, ZM404 none or deleted already.';

create function app.react(p_comment_no bigint, p_vote text) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
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
comment on function app.react is
'Say up or down of a comment, or null to take it back; one opinion a wallet. Returns the seq, null when nothing changed. ZM404, ZM422.';

create function app.flag_comment(p_comment_no bigint, p_reason text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
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
comment on function app.flag_comment is 'Report a comment, once a wallet. ZM404, ZM409 reported before, ZM422 unfit reason.';

-- Metadata is found by its words, and shown only where it is the creator's: whose it is stands beside it.
alter table app.market_metadata add column user_wallet text collate "C";
alter table app.market_metadata no force row level security;
update app.market_metadata as d set user_wallet = w.wallet from raw.wallets_seen as w where w.wallet_no = d.wallet_no;
alter table app.market_metadata force row level security;
alter table app.market_metadata alter column user_wallet set not null;
alter table app.market_metadata add column search tsvector not null generated always as (
    to_tsvector('english', question || ' ' || coalesce(description, ''))
) stored;

create function app.name_the_teller() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    select wallet into new.user_wallet from raw.wallets_seen where wallet_no = new.wallet_no;
    return new;
end
$$;
comment on function app.name_the_teller is 'Write the wallet''s address beside its number.';
create trigger name_the_teller before insert or update of wallet_no on app.market_metadata
for each row execute function app.name_the_teller();

create index market_metadata_words on app.market_metadata using gin (search);
do $$
declare
    v_schema text;
begin
    create extension if not exists pg_trgm;
    select n.nspname into v_schema from pg_extension as e inner join pg_namespace as n on e.extnamespace = n.oid
    where e.extname = 'pg_trgm';
    execute format('create index market_metadata_parts on app.market_metadata
                    using gin (question %1$I.gin_trgm_ops, description %1$I.gin_trgm_ops)', v_schema);
end
$$;

-- Documents are looked up by what refers to them.
grant select on ops.snapshots to zmart_api;

revoke all on all functions in schema app from public;
grant execute on function app.edit_comment, app.delete_comment, app.react, app.flag_comment to zmart_api;
