-- Moderators hide, restore and erase posts and ban wallets. The log gets kinds for this and for profiles.
alter table raw.feed drop constraint feed_kind_check;
alter table raw.feed add constraint feed_kind_check check (kind in (
    'event', 'retracted', 'moved', 'finalized_through', 'ballot', 'comment', 'reaction', 'metadata', 'mart_stale',
    'moderation', 'profile'
)) not valid;
alter table raw.feed validate constraint feed_kind_check;
comment on column raw.feed.ref is
'event: null (the row of raw.events has the same seq). retracted, moved: seq of the event. finalized_through: slot. comment, reaction: comment_no. ballot, metadata, moderation, profile: the row''s own seq. mart_stale: null.';
comment on column raw.feed.digest is
'SHA-256 of the text at that time, so that the text may be erased later. Null for event, retracted, moved, finalized_through and mart_stale.';

alter table app.comments add column hidden_at timestamptz;
alter table app.comments add column erased_at timestamptz;
alter table app.comments drop constraint comments_content_check;
alter table app.comments add constraint comments_content_check check (
    length(content) <= 1000 and (length(btrim(content)) > 0 or erased_at is not null)
);
alter table app.comments add constraint comments_erased_check check (
    erased_at is null or (content = '' and hidden_at is not null)
);
comment on column app.comments.hidden_at is 'When a moderator hid it; null if it is shown.';
comment on column app.comments.erased_at is 'When a moderator erased its text; the log has its digest.';

create table app.bans (
    wallet_no int primary key references raw.wallets_seen,
    moderator_no int not null references raw.wallets_seen,
    reason text not null check (length(btrim(reason)) > 0 and length(reason) <= 500),
    banned_at timestamptz not null default clock_timestamp()
);
comment on table app.bans is 'Holds one row per wallet that may not write through the API.';
alter table app.bans enable row level security;
alter table app.bans force row level security;
grant select on app.bans to zmart_api;

create table app.moderation (
    seq bigint primary key,
    action text collate "C" not null check (action in (
        'hide', 'restore', 'erase', 'dismiss', 'ban', 'unban', 'clear'
    )),
    subject text collate "C" not null check (subject in ('post', 'wallet', 'profile')),
    comment_no bigint references app.comments,
    market_no int references raw.markets_seen,
    wallet_no int not null references raw.wallets_seen,
    moderator_no int not null references raw.wallets_seen,
    reason text not null check (length(btrim(reason)) > 0 and length(reason) <= 500),
    decided_at timestamptz not null default clock_timestamp(),
    constraint moderation_post_check check ((comment_no is null) = (subject <> 'post'))
);
comment on table app.moderation is 'Holds every decision of a moderator, in the order of the log. Rows are never changed.';
comment on column app.moderation.wallet_no is 'The wallet whose text or right to write the decision is about.';
-- Finds the decisions about a comment, for the queue and for the state of a comment at the end of a day.
create index moderation_comments on app.moderation (comment_no, seq) where comment_no is not null;
alter table app.moderation enable row level security;
alter table app.moderation force row level security;
grant select on app.moderation to zmart_api;
