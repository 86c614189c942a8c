-- Event groups put markets under one title, and moderators hide them and images. The log gets a kind for event groups.
alter table raw.feed drop constraint feed_kind_check;
alter table raw.feed add constraint feed_kind_check check (kind in (
    'event', 'retracted', 'moved', 'finalized_through', 'ballot', 'comment', 'reaction', 'metadata', 'mart_stale',
    'moderation', 'profile', 'market_page', 'event_group'
)) not valid;
alter table raw.feed validate constraint feed_kind_check;
comment on column raw.feed.ref is
'event: null (the row of raw.events has the same seq). retracted, moved: seq of the event. finalized_through: slot. comment, reaction: comment_no. ballot, metadata, moderation, profile, market_page: the row''s own seq. event_group: number of the event. mart_stale: null.';

create table app.event_groups (
    event_no int primary key,
    slug text collate "C" not null,
    title text not null check (length(title) between 3 and 200),
    description text check (length(description) <= 2000),
    wallet_no int not null references raw.wallets_seen,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    hidden_at timestamptz,
    deleted_at timestamptz
);
comment on table app.event_groups is 'Holds one row per event: a title for markets that belong together.';
comment on column app.event_groups.slug is 'The current one of its rows in app.event_slugs.';
comment on column app.event_groups.wallet_no is 'The wallet that made it.';
comment on column app.event_groups.hidden_at is 'When a moderator hid it; null if it is shown.';
-- Counts the events of a wallet.
create index event_groups_wallet_no_idx on app.event_groups (wallet_no) where deleted_at is null;
alter table app.event_groups enable row level security;
alter table app.event_groups force row level security;
grant select on app.event_groups to zmart_api;

create table app.event_slugs (
    slug text collate "C" primary key check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' and length(slug) <= 100),
    event_no int not null references app.event_groups,
    assigned_at timestamptz not null default clock_timestamp()
);
comment on table app.event_slugs is
'Holds every slug that an event has or had. The primary key makes each one lead to one event for good.';
-- Counts the slugs of an event.
create index event_slugs_event_no_idx on app.event_slugs (event_no);
alter table app.event_slugs enable row level security;
alter table app.event_slugs force row level security;
grant select on app.event_slugs to zmart_api;

alter table app.market_pages add column event_no int references app.event_groups;
alter table app.market_pages add column event_place int;
alter table app.market_pages add constraint market_pages_event_check check ((event_no is null) = (event_place is null));
comment on column app.market_pages.event_place is 'Its place among the markets of the event, from 1.';
-- Reads the markets of an event in their order.
create index market_pages_event_no_idx on app.market_pages (event_no, event_place) where event_no is not null;

alter table app.images add column hidden_at timestamptz;
alter table app.images add column erased_at timestamptz;
alter table app.images drop constraint images_check;
alter table app.images drop constraint images_content_check;
alter table app.images add constraint images_digest_check check (digest = sha256(content) or erased_at is not null);
alter table app.images add constraint images_content_check
check (length(content) between 1 and 524288 or (erased_at is not null and content = ''));
alter table app.images add constraint images_erased_check check (erased_at is null or hidden_at is not null);
comment on table app.images is
'Holds one row per image that a market shows or a moderator has hidden, by the SHA-256 of its bytes.';
comment on column app.images.hidden_at is 'When a moderator hid it; null if it is shown.';
comment on column app.images.erased_at is 'When a moderator erased its bytes. They are refused when they come again.';

alter table app.moderation drop constraint moderation_subject_check;
alter table app.moderation add constraint moderation_subject_check
check (subject in ('post', 'wallet', 'profile', 'image', 'event'));
alter table app.moderation add column image_digest bytea;
alter table app.moderation add column event_no int references app.event_groups;
alter table app.moderation add constraint moderation_image_check check ((image_digest is null) = (subject <> 'image'));
alter table app.moderation add constraint moderation_event_check check ((event_no is null) = (subject <> 'event'));
comment on column app.moderation.wallet_no is 'The wallet whose text, image, event or right to write the decision is about.';
drop function if exists app.append_moderation(text, text, bigint, int, int, int, text);
