-- Markets get slugs and images, and the log a kind for changes of a market's page.
alter table raw.feed drop constraint feed_kind_check;
alter table raw.feed add constraint feed_kind_check check (kind in (
    'event', 'retracted', 'moved', 'finalized_through', 'ballot', 'comment', 'reaction', 'metadata', 'mart_stale',
    'moderation', 'profile', 'market_page'
)) not valid;
alter table raw.feed validate constraint feed_kind_check;
comment on column raw.feed.ref is
'event: null (the row of raw.events has the same seq). retracted, moved: seq of the event. finalized_through: slot. comment, reaction: comment_no. ballot, metadata, moderation, profile, market_page: the row''s own seq. mart_stale: null.';

alter table app.market_metadata add column slug text collate "C";
comment on column app.market_metadata.slug is 'The current one of the market''s rows in app.market_slugs.';

create table app.market_slugs (
    slug text collate "C" primary key check (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' and length(slug) <= 100),
    market_id text collate "C" not null check (market_id ~ '^[0-9a-f]{64}$'),
    wallet_no int not null references raw.wallets_seen,
    assigned_at timestamptz not null default clock_timestamp()
);
comment on table app.market_slugs is
'Holds every slug that a market has or had. The primary key makes each one lead to one market for good.';
comment on column app.market_slugs.wallet_no is 'The wallet whose metadata it was made from. Only that of the market''s creator counts.';
-- Counts the slugs of a market.
create index market_slugs_market_id_idx on app.market_slugs (market_id, wallet_no);
-- An older database has no policies yet by which the owner could read.
alter table app.market_metadata no force row level security;
-- Markets that were described before get the ASCII words of their question and a part of their id.
insert into app.market_slugs (slug, market_id, wallet_no)
select distinct on (s.slug)
    s.slug,
    d.market_id,
    d.wallet_no
from app.market_metadata as d
cross join lateral (
    select concat_ws(
        '-',
        coalesce(
            nullif(
                trim(both '-' from left(trim(both '-' from lower(regexp_replace(d.question, '[^a-zA-Z0-9]+', '-', 'g'))), 60)),
                ''
            ),
            'market'
        ),
        left(d.market_id, 8)
    ) as slug
) as s
order by s.slug, d.created_at, d.wallet_no;
update app.market_metadata as d set slug = s.slug from app.market_slugs as s
where d.market_id = s.market_id and d.wallet_no = s.wallet_no;
alter table app.market_metadata force row level security;
alter table app.market_slugs enable row level security;
alter table app.market_slugs force row level security;
grant select on app.market_slugs to zmart_api;

create table app.images (
    digest bytea primary key check (digest = sha256(content)),
    content bytea not null check (length(content) between 1 and 524288),
    media_type text collate "C" not null check (media_type in ('image/png', 'image/jpeg', 'image/webp')),
    width int not null check (width between 1 and 4096),
    height int not null check (height between 1 and 4096),
    wallet_no int not null references raw.wallets_seen,
    stored_at timestamptz not null default clock_timestamp()
);
-- Images are compressed already.
alter table app.images alter column content set storage external;
comment on table app.images is 'Holds one row per image that a market shows, by the SHA-256 of its bytes.';
comment on column app.images.wallet_no is 'The wallet that sent it first.';
alter table app.images enable row level security;
alter table app.images force row level security;
grant select on app.images to zmart_api;

create table app.market_pages (
    market_no int primary key references raw.markets_seen,
    image_digest bytea references app.images
);
comment on table app.market_pages is 'Holds one row per market with more than its metadata to show.';
-- Finds the markets that show an image.
create index market_pages_image_digest_idx on app.market_pages (image_digest) where image_digest is not null;
alter table app.market_pages enable row level security;
alter table app.market_pages force row level security;
grant select on app.market_pages to zmart_api;
