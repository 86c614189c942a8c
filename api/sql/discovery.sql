-- Finds markets: the most traded ones, the categories, similar ones.

-- name: trending
-- ACTIVE markets by volume and number of traders in the day up to the newest instant of the log.
with known as materialized (
    select {known_at} as at
),
candidates as materialized (
    select m.market_no, m.id, m.creator_wallet, m.ipfs_question_hash, m.price_yes
    from (
        select n.market_no
        from (select t.market_no from marts.trades as t order by t.order_key desc limit 1000) as n
        union
        (
            select f.market_no from marts.markets as f
            where f.state_code = 2 and f.is_known order by f.created_at desc limit 20
        )
    ) as c
    inner join marts.markets as m on c.market_no = m.market_no
    where m.is_known and m.state_code = 2
    order by m.last_order_key desc
    limit 40
),
scored as materialized (
    select
        c.*, v.volume, u.traders, c.price_yes - coalesce(b.close, 500000000) as change,
        v.volume / 1000000000 * 0.6 + u.traders * 0.4 as score
    from candidates as c
    cross join known as k
    cross join lateral (
        select coalesce(sum(x.volume), 0) as volume from marts.candles_1m as x
        where x.market_no = c.market_no and x.bucket_at >= k.at - interval '24 hours'
    ) as v
    -- A trade within the day implies that the last trade is within it.
    cross join lateral (
        select count(*) as traders from marts.positions as p
        where p.market_no = c.market_no and p.last_trade_at >= k.at - interval '24 hours'
    ) as u
    left join lateral (
        select x.close from marts.candles_1m as x
        where x.market_no = c.market_no and x.bucket_at < k.at - interval '24 hours'
        order by x.bucket_at desc limit 1
    ) as b on true
),
shown as materialized (
    select * from scored order by score desc, market_no desc limit %(limit)s
)
select {stated}, json_build_object(
    'trending', coalesce((
        select json_agg(json_build_object(
            'id', m.id,
            'question', {question},
            'yesPrice', m.price_yes * 0.000000001,
            'change24h', coalesce(round(m.change / 10000000.0, 2), 0),
            'volume24h', round(m.volume / 1000000000, 9),
            'volume_24h_exact', m.volume::text,
            'uniqueTraders', m.traders,
            'trendingScore', round(m.score, 4)
        ) order by m.score desc, m.market_no desc)
        from shown as m
        {creator_metadata}
    ), '[]'),
    'count', (select count(*) from shown),
    'as_of', {as_of}
) as body
from ops.as_of(array['markets', 'priced_trades', 'positions', 'candles_1m']) as a;

-- name: categories
-- The five categories with the most markets, and their growth in the week up to the newest instant of the log.
with known as materialized (
    select {known_at} as at
),
counted as (
    select
        coalesce(d.category, 'other') as id,
        count(*) as markets,
        count(*) filter (where m.created_at >= k.at - interval '7 days') as fresh
    from {from_markets}
    cross join known as k
    where m.is_known
    group by coalesce(d.category, 'other')
),
shown as materialized (
    select * from counted order by markets desc, id asc limit 5
)
select {stated}, json_build_object(
    'categories', coalesce((
        select json_agg(json_build_object(
            'id', s.id,
            'name', initcap(s.id),
            'count', s.markets,
            'emoji', case s.id
                when 'crypto' then '🪙' when 'politics' then '🏛️' when 'sports' then '🏆'
                when 'science' then '🔬' when 'entertainment' then '🎬' else '🔮'
            end,
            'trend', '+' || case
                when s.markets = s.fresh then 0 else round(100.0 * s.fresh / (s.markets - s.fresh))
            end || '%%'
        ) order by s.markets desc, s.id asc)
        from shown as s
    ), '[]'),
    'count', (select count(*) from shown),
    'as_of', {as_of}
) as body
from ops.as_of(array['markets']) as a;

-- name: related
-- The newest other ACTIVE markets, those of the same category first; none for an unknown market.
with asked as materialized (
    select m.market_no, coalesce(d.category, 'other') as category
    from {from_markets}
    where m.is_known and m.market_no = {the_market}
),
candidates as materialized (
    select m.market_no, m.id, m.creator_wallet, m.ipfs_question_hash, m.price_yes, m.created_at
    from marts.markets as m
    where
        m.state_code = 2 and m.is_known and exists (select from asked)
        and m.market_no <> (select q.market_no from asked as q)
    order by m.created_at desc
    limit 20
),
shown as materialized (
    select
        m.*, d.question as metadata_question, coalesce(d.category, 'other') as category,
        coalesce(d.category, 'other') = (select q.category from asked as q) as is_match
    from candidates as m
    {creator_metadata}
    order by is_match desc, m.created_at desc, m.market_no desc
    limit %(limit)s
)
select {stated}, json_build_object(
    'related', coalesce((
        select json_agg(json_build_object(
            'id', m.id,
            'question', coalesce(m.metadata_question, 'Market ' || left(m.id, 8) || '…'),
            'yesPrice', m.price_yes * 0.000000001,
            'category', initcap(m.category),
            'categoryMatch', m.is_match
        ) order by m.is_match desc, m.created_at desc, m.market_no desc)
        from shown as m
    ), '[]'),
    'count', (select count(*) from shown),
    'as_of', {as_of}
) as body
from ops.as_of(array['markets']) as a;

-- name: pool
-- The input of a quote: a market as a trade would find it, and the current configuration.
select {stated}, (
    select json_build_object(
        'market_id', m.id,
        'state_code', m.state_code,
        'b', m.b_parameter::text,
        'shares_yes', m.shares_yes::text,
        'shares_no', m.shares_no::text,
        'current_liquidity', coalesce(m.current_liquidity, 0)::text,
        'config', (
            select jsonb_object_agg(f.name, coalesce(s.value, f.initial)) from {config_in_force}
            where f.name in (
                'protocol_fee_bps', 'resolver_reward_bps', 'liquidity_provider_fee_bps', 'is_paused'
            )
        ),
        'as_of', {as_of}
    )
    from marts.markets as m
    where m.is_known and m.market_no = {the_market}
) as body
from ops.as_of(array['markets', 'protocol_config']) as a;
