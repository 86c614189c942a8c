-- Defines row level security of the schema app. It is applied again whenever it changes, after the functions it calls.
--
-- Services write only through functions that run as zmart_owner and act for one wallet (app.current_wallet). Row level
-- security is forced on the owner, so that a function without a check still cannot write another wallet's row.

do $$
declare
    p pg_policies;
begin
    for p in select * from pg_policies where schemaname = 'app' loop
        execute format('drop policy %I on app.%I', p.policyname, p.tablename);
    end loop;
end
$$;

-- Profiles, metadata, ballots, comments with their edits unless a moderator hid them, reactions, bans and decisions of
-- moderators are public.
create policy read_all on app.wallets for select using (true);
create policy read_all on app.market_metadata for select using (true);
create policy read_all on app.market_slugs for select using (true);
create policy read_shown on app.images for select using (hidden_at is null);
create policy read_all on app.market_pages for select using (true);
create policy read_shown on app.event_groups for select using (hidden_at is null);
create policy read_all on app.event_slugs for select using (true);
create policy read_all on app.ballots for select using (true);
create policy read_shown on app.comments for select using (hidden_at is null);
create policy read_shown on app.comment_edits for select using (exists (
    select from app.comments as c where c.comment_no = comment_edits.comment_no and c.hidden_at is null
));
create policy read_all on app.reactions for select using (true);
create policy read_all on app.bans for select using (true);
create policy read_all on app.moderation for select using (true);

-- Hidden posts, images and events are for moderators, and for functions and views of the owner, which return posts without
-- their text.
create policy read_all on app.comments for select to zmart_owner using (true);
create policy read_all on app.comment_edits for select to zmart_owner using (true);
create policy read_all on app.images for select to zmart_owner using (true);
create policy read_all on app.event_groups for select to zmart_owner using (true);
create policy read_as_moderator on app.comments for select to zmart_api using (app.is_moderator());
create policy read_as_moderator on app.flags for select to zmart_api using (app.is_moderator());
create policy read_as_moderator on app.open_reports for select to zmart_api using (app.is_moderator());

-- Moderators decide about rows of others. The log of their decisions is only ever added to.
create policy moderate on app.comments for update to zmart_owner using (app.is_moderator());
create policy moderate on app.comment_edits for update to zmart_owner using (app.is_moderator());
-- A text that is erased goes from the answers that are stored for repeats of its author's request, too.
create policy moderate on app.idempotency_keys for update to zmart_owner using (app.is_moderator());
create policy read_as_moderator on app.idempotency_keys for select to zmart_owner using (app.is_moderator());
create policy moderate on app.bans for insert to zmart_owner
with check (app.is_moderator() and moderator_no = app.current_wallet_no());
create policy moderate on app.wallets for update to zmart_owner using (app.is_moderator());
create policy lift_ban on app.bans for delete to zmart_owner using (app.is_moderator());
create policy moderate on app.images for update to zmart_owner using (app.is_moderator());
create policy moderate on app.event_groups for update to zmart_owner using (app.is_moderator());
create policy moderate on app.moderation for insert to zmart_owner
with check (app.is_moderator() and moderator_no = app.current_wallet_no());

-- The creator of a market and moderators decide what its page shows. An image goes once no market shows it.
create policy edit_page on app.market_pages for all to zmart_owner
using (app.is_moderator() or app.is_market_creator(market_no));
create policy delete_unused on app.images for delete to zmart_owner
using (hidden_at is null and app.current_wallet() is not null
       and not exists (select from app.market_pages as p where p.image_digest = images.digest));

-- A wallet inserts only its own rows. An edit belongs to the wallet that wrote the comment.
create policy insert_own on app.wallets for insert to zmart_owner with check (wallet_no = app.current_wallet_no());
create policy insert_own on app.market_metadata for insert to zmart_owner with check (wallet_no = app.current_wallet_no());
create policy insert_own on app.market_slugs for insert to zmart_owner with check (wallet_no = app.current_wallet_no());
create policy insert_own on app.images for insert to zmart_owner with check (wallet_no = app.current_wallet_no());
create policy insert_own on app.event_groups for insert to zmart_owner with check (wallet_no = app.current_wallet_no());
create policy insert_own on app.event_slugs for insert to zmart_owner with check (app.is_moderator() or exists (
    select from app.event_groups as e
    where e.event_no = event_slugs.event_no and e.wallet_no = app.current_wallet_no()
));
create policy insert_own on app.ballots for insert to zmart_owner with check (wallet_no = app.current_wallet_no());
create policy insert_own on app.comments for insert to zmart_owner with check (wallet_no = app.current_wallet_no());
create policy insert_own on app.comment_edits for insert to zmart_owner with check (exists (
    select from app.comments as c
    where c.comment_no = comment_edits.comment_no and c.wallet_no = app.current_wallet_no()
));
create policy insert_own on app.reactions for insert to zmart_owner with check (wallet_no = app.current_wallet_no());
create policy insert_own on app.flags for insert to zmart_owner with check (wallet_no = app.current_wallet_no());
create policy insert_own on app.sessions for insert to zmart_owner with check (wallet_no = app.current_wallet_no());
create policy insert_own on app.redeemed_nonces for insert to zmart_owner with check (wallet_no = app.current_wallet_no());
create policy insert_own on app.api_keys for insert to zmart_owner with check (wallet_no = app.current_wallet_no());
create policy insert_own on app.idempotency_keys for insert to zmart_owner with check (wallet_no = app.current_wallet_no());

-- A wallet changes only its own rows. Ballots, edits, flags and nonces never change.
create policy update_own on app.wallets for update to zmart_owner
using (wallet_no = app.current_wallet_no()) with check (wallet_no = app.current_wallet_no());
create policy update_own on app.market_metadata for update to zmart_owner
using (wallet_no = app.current_wallet_no()) with check (wallet_no = app.current_wallet_no());
create policy update_own on app.event_groups for update to zmart_owner
using (wallet_no = app.current_wallet_no()) with check (wallet_no = app.current_wallet_no());
create policy update_own on app.comments for update to zmart_owner
using (wallet_no = app.current_wallet_no()) with check (wallet_no = app.current_wallet_no());
create policy update_own on app.reactions for update to zmart_owner
using (wallet_no = app.current_wallet_no()) with check (wallet_no = app.current_wallet_no());
create policy update_own on app.sessions for update to zmart_owner
using (wallet_no = app.current_wallet_no()) with check (wallet_no = app.current_wallet_no());
create policy update_own on app.api_keys for update to zmart_owner
using (wallet_no = app.current_wallet_no()) with check (wallet_no = app.current_wallet_no());
create policy update_own on app.idempotency_keys for update to zmart_owner
using (wallet_no = app.current_wallet_no()) with check (wallet_no = app.current_wallet_no());

-- Reactions, and claims of requests that changed nothing, are the only rows that a wallet can delete.
create policy delete_own on app.reactions for delete to zmart_owner using (wallet_no = app.current_wallet_no());
create policy delete_own on app.idempotency_keys for delete to zmart_owner using (wallet_no = app.current_wallet_no());

-- Sessions, nonces and flags are private. Sessions and nonces are read by functions of the owner only, because any login
-- of zmart_api can set zmart.wallet to any wallet; the functions need the token itself.
create policy read_own on app.sessions for select to zmart_owner using (wallet_no = app.current_wallet_no());
create policy read_own on app.redeemed_nonces for select to zmart_owner using (wallet_no = app.current_wallet_no());
create policy read_own on app.flags for select to zmart_owner, zmart_api using (wallet_no = app.current_wallet_no());

-- The owner's view marts.discussions counts the flags of a comment. Services still read only their own wallet's flags.
create policy count_all on app.flags for select to zmart_owner using (true);

-- Any wallet's report counts, and any moderator's decision ends the count.
create policy count_reports on app.open_reports for all to zmart_owner using (app.current_wallet() is not null);

-- app.delete_expired deletes rows one hour after they expire. Until then a second use must find the first.
create policy read_expired on app.sessions for select to zmart_owner
using (expires_at < clock_timestamp() - interval '1 hour');
create policy read_expired on app.redeemed_nonces for select to zmart_owner
using (expires_at < clock_timestamp() - interval '1 hour');
create policy read_expired on app.idempotency_keys for select to zmart_owner
using (expires_at < clock_timestamp() - interval '1 hour');
create policy delete_expired on app.sessions for delete to zmart_owner
using (expires_at < clock_timestamp() - interval '1 hour');
create policy delete_expired on app.redeemed_nonces for delete to zmart_owner
using (expires_at < clock_timestamp() - interval '1 hour');
create policy delete_expired on app.idempotency_keys for delete to zmart_owner
using (expires_at < clock_timestamp() - interval '1 hour');

-- API keys and the answers to repeated requests are private, too. The call that presents a key's hash finds its row.
create policy read_own on app.api_keys for select to zmart_owner using (wallet_no = app.current_wallet_no());
create policy read_own on app.idempotency_keys for select to zmart_owner using (wallet_no = app.current_wallet_no());
create policy find_presented on app.api_keys for select to zmart_owner
using (secret_hash = decode(current_setting('zmart.api_key_hash', true), 'hex'));
