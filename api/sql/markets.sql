-- Markets, and the lists of one market.

-- name: market
-- One market by id or address, the whole row.
select {stated}, (
    select row_to_json(r) from (
        select {market_brief}, {market_full}, {as_of} as as_of
        from {from_markets}
        where m.is_known and m.market_no = {the_market}
    ) as r
) as body
from ops.as_of(array['markets']) as a;

-- name: market_by_slug
-- One market by a slug that it has or had, the whole row.
select {stated}, (
    select row_to_json(r) from (
        select {market_brief}, {market_full}, {as_of} as as_of
        from {from_markets}
        where m.is_known and m.market_no = {the_market_of_slug}
    ) as r
) as body
from ops.as_of(array['markets']) as a;

-- name: image
-- The bytes and the type of an image.
select i.content, i.media_type from app.images as i where i.digest = decode(%(digest)s::text, 'hex') and i.hidden_at is null;

-- name: set_market_image
-- Set a market's image, or remove it; returns the market's id and the seq of the log entry.
select r.market_id, r.seq from app.set_market_image(
    %(market)s, decode(%(digest)s::text, 'hex'), %(image)s::bytea, %(media_type)s::text, %(width)s::int, %(height)s::int
) as r;

-- name: markets
-- A page of markets in one of the sort orders, by number and version, with the number of all.
with {found} page as materialized (
    select * from ({page}) as bounded
    limit %(limit)s + 1 offset %(offset)s::int
),
shown as materialized (
    select * from page order by sort_key {direction}, number {direction} limit %(limit)s
)
select {stated}, {server}, (
    select string_agg({market_version}, ' ' order by p.sort_key {direction}, p.number {direction})
    from shown as p
    inner join marts.markets as m on p.number = m.market_no
    {creator_metadata}
) as versions, null::text as texts, json_build_object(
    'count', {count},
    'count_is_exact', {is_exact},
    'limit', %(limit)s::int,
    'offset', %(offset)s::int,
    'next_cursor', (
        select {cursor} from (select s.* from shown as s order by s.sort_key {reverse}, s.number {reverse} limit 1) as p
        where (select count(*) from page) > %(limit)s
    ),
    'as_of', {as_of}
) as rest
from ops.as_of(array['markets']) as a;

-- name: market_rows
-- The row in a list for each of these markets, by version.
select {market_version} as version, (select row_to_json(r)::text from (select {market_brief}) as r) as text
from {from_markets}
where m.market_no = any(%(numbers)s::text[]::int[]);

-- name: market_stats
-- The totals of a market's trades.
select {stated}, (
    select json_build_object(
        'market_id', m.id,
        'stats', json_build_object(
            'total_volume', m.total_volume,
            'total_volume_exact', m.total_volume::text,
            'total_trades', m.trades_count,
            'unique_traders', s.unique_traders,
            'buy_volume', s.buy_volume,
            'buy_volume_exact', s.buy_volume::text,
            'sell_volume', s.sell_volume,
            'sell_volume_exact', s.sell_volume::text
        ),
        'as_of', {as_of}
    )
    from marts.markets as m
    -- A wallet that traded has a position, and a trade that is not a buy is a sell, so no trade needs to be read.
    cross join lateral (
        select
            count(*) filter (where p.trades_count > 0) as unique_traders,
            coalesce(sum(p.total_invested), 0) as buy_volume,
            m.total_volume - coalesce(sum(p.total_invested), 0) as sell_volume
        from marts.positions as p
        where p.market_no = m.market_no
    ) as s
    where m.is_known and m.market_no = {the_market}
) as body
from ops.as_of(array['positions', 'markets']) as a;

-- name: holders
-- A page of a market's holders, the largest first.
with page as materialized (
    select q.*
    from marts.markets as m
    -- With its limit inside, the view is read for this market alone.
    cross join lateral (
        select
            h.wallet_no as number, {sort_key} as sort_key, h.user_wallet, h.shares_yes, h.shares_no, h.total_invested,
            h.share_of_yes_bps, h.share_of_no_bps, h.last_seq
        from marts.holders as h
        where h.market_no = m.market_no and {sort_key} > 0 {beyond}
        order by {sort_key} desc, h.wallet_no desc
        limit {bound}
    ) as q
    where m.market_no = {the_market}
    order by q.sort_key desc, q.number desc
    limit %(limit)s + 1
),
shown as materialized (
    select * from page order by sort_key desc, number desc limit %(limit)s
)
select {stated}, case when {market_exists} then json_build_object(
    'holders', coalesce((
        select json_agg(json_build_object(
            'user_wallet', p.user_wallet,
            'shares_yes', p.shares_yes::text,
            'shares_no', p.shares_no::text,
            'total_invested', p.total_invested::text,
            'share_of_yes_bps', coalesce(p.share_of_yes_bps, 0),
            'share_of_no_bps', coalesce(p.share_of_no_bps, 0),
            'last_seq', p.last_seq
        ) order by p.sort_key desc, p.number desc)
        from shown as p
    ), '[]'),
    'count', (select count(*) from shown),
    'limit', %(limit)s::int,
    'next_cursor', (
        select {cursor} from (select s.* from shown as s order by s.sort_key, s.number limit 1) as p
        where (select count(*) from page) > %(limit)s
    ),
    {named_market}
    'as_of', {as_of}
) end as body
from ops.as_of(array['positions', 'markets']) as a;

-- name: lifecycle
-- The newest steps of a market's life in the order of the chain, and its next deadline.
select {stated}, (
    select json_build_object(
        'market_id', m.id,
        'state', m.state,
        'outcome', m.outcome,
        'timeline', coalesce((
            select json_agg(json_build_object(
                'event', c.event,
                'to_state', c.to_state,
                'user_wallet', c.actor_wallet,
                'tx_signature', c.tx_signature,
                'slot', c.order_key >> 24,
                'seq', c.seq,
                'block_time', c.block_time
            ) order by c.order_key)
            from (
                select c.* from marts.market_lifecycle as c
                where c.market_no = m.market_no
                order by c.order_key desc limit %(limit)s
            ) as c
        ), '[]'),
        'dispute_period_seconds', s.dispute_period::text,
        'voting_window_seconds', s.voting_window::text,
        'dispute_closes_at', w.dispute_closes_at,
        'voting_closes_at', w.voting_closes_at,
        'next_deadline', case
            when w.voting_closes_at is not null
                then json_build_object('name', 'voting_closes_at', 'at', w.voting_closes_at)
            when w.dispute_closes_at is not null
                then json_build_object('name', 'dispute_closes_at', 'at', w.dispute_closes_at)
        end,
        'as_of', {as_of}
    )
    from marts.markets as m
    cross join (
        select
            {dispute_period_seconds} as dispute_period,
            (select o.value from ops.settings as o where o.name = 'dispute_voting_window_seconds') as voting_window
    ) as s
    cross join lateral (
        select
            case when m.state in ('RESOLVING', 'DISPUTED') then {dispute_end} end as dispute_closes_at,
            case when m.state = 'DISPUTED' then {voting_end} end as voting_closes_at
    ) as w
    where m.is_known and m.market_no = {the_market}
) as body
from ops.as_of(array['market_lifecycle', 'markets', 'protocol_config']) as a;
