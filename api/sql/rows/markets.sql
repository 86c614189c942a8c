-- name: market_brief
-- The row in a list of market m with its metadata d.
m.id,
m.on_chain_address,
{slug} as slug,
{question} as question,
d.description,
coalesce(d.category, 'other') as category,
coalesce(d.tags, '{}') as tags,
d.ends_at as end_date,
{image_url} as image_url,
{event_slug} as event_slug,
m.state,
m.state as status,
m.state_code,
m.outcome,
m.creator_wallet,
m.creator_wallet as creator,
m.b_parameter,
m.b_parameter::text as b_parameter_exact,
m.b_parameter as "liquidityParameter",
m.initial_liquidity,
m.initial_liquidity::text as initial_liquidity_exact,
m.current_liquidity,
m.current_liquidity::text as current_liquidity_exact,
m.shares_yes,
m.shares_yes::text as shares_yes_exact,
m.shares_no,
m.shares_no::text as shares_no_exact,
m.shares_yes + m.shares_no as "totalShares",
m.total_volume,
m.total_volume::text as total_volume_exact,
m.trades_count,
m.price_yes,
m.price_yes * 0.000000001 as current_price_yes,
1 - m.price_yes * 0.000000001 as current_price_no,
m.price_yes * 0.000000001 as "priceYes",
1 - m.price_yes * 0.000000001 as "priceNo",
m.proposed_outcome,
m.final_outcome,
m.was_disputed,
m.is_cancelled,
m.created_at,
m.approved_at,
m.activated_at,
m.resolution_proposed_at,
m.dispute_initiated_at,
m.resolved_at,
m.finalized_at,
m.cancelled_at,
m.last_trade_at,
(select f.at from raw.feed as f where f.seq = m.last_seq) as updated_at,
m.created_at as "createdAt",
m.activated_at as "activatedAt",
m.resolution_proposed_at as "resolutionTime",
m.finalized_at as "finalizedAt",
m.last_seq

-- name: market_version
-- The versions of market m, of its metadata d and of its page g: everything that its row in a list depends on.
concat_ws(':', m.market_no, m.tableoid, m.xmin, d.xmin, 'g' || g.xmin::text)

-- name: slug
-- The slug of market m by its metadata d; without a question, one that the id makes unique.
coalesce(d.slug, 'market-' || m.id)

-- name: image_url
-- The path of the image on a market's page g; null without one, and if a moderator hid it.
(
    select '/api/images/' || encode(i.digest, 'hex') from app.images as i
    where i.digest = g.image_digest and i.hidden_at is null
)

-- name: event_slug
-- The slug of the event on a market's page g; null without one, and if a moderator hid it.
(select v.slug from app.event_groups as v where v.event_no = g.event_no and v.hidden_at is null)

-- name: market_full
-- The columns of market m alone, beyond the brief ones.
m.resolver_wallet,
m.dispute_initiator,
m.ipfs_question_hash,
m.ipfs_evidence_hash,
m.proposal_likes,
m.proposal_dislikes,
m.proposal_total_votes,
m.dispute_agree,
m.dispute_disagree,
m.dispute_total_votes,
m.accumulated_resolver_fees,
m.accumulated_resolver_fees::text as accumulated_resolver_fees_exact,
m.accumulated_lp_fees,
m.accumulated_lp_fees::text as accumulated_lp_fees_exact,
m.protocol_fees_paid,
m.protocol_fees_paid::text as protocol_fees_paid_exact,
m.market_lamports,
m.market_lamports::text as market_lamports_exact,
m.liquidity_withdrawn_at

-- name: creator_metadata
-- The metadata d that the creator of market m has set: none of other wallets, and only the document whose hash is in the
-- create instruction (protocol.md 1.4.2), if both are known. And its page g, which Postgres reads only where it is used.
left join app.market_metadata as d on m.id = d.market_id and m.creator_wallet = d.user_wallet
    and (
        m.ipfs_question_hash is null or d.question_cid is null or m.ipfs_question_hash = d.question_cid
        -- Older clients send the beginning of some JSON as the content id (protocol.md 5.3).
        or left(m.ipfs_question_hash, 2) <> 'Qm'
    )
left join app.market_pages as g on m.market_no = g.market_no

-- name: from_markets
-- Markets m that are shown, with their metadata d.
marts.markets as m
{creator_metadata}

-- name: the_market
-- The number of the market with a 64-hex id or an address.
(select s.market_no from raw.markets_seen as s where s.market_id = %(market)s or s.account = %(market)s)

-- name: the_market_of_slug
-- The number of the market that has or had a slug. Only slugs of a market's creator count.
coalesce(
    (
        select s.market_no
        from app.market_slugs as l
        inner join raw.markets_seen as s on l.market_id = s.market_id
        inner join raw.wallets_seen as w on l.wallet_no = w.wallet_no
        inner join marts.markets as k on s.market_no = k.market_no and w.wallet = k.creator_wallet
        where l.slug = %(slug)s::text
    ),
    (
        select s.market_no from raw.markets_seen as s
        where s.market_id = substring(%(slug)s::text from '^market-([0-9a-f]+)$')
    )
)

-- name: where_state
-- Markets in one state.
and m.state_code = %(state_code)s

-- name: where_category
-- Markets of one category.
and coalesce(d.category, 'other') = %(category)s

-- name: where_creator
-- Markets of one creator.
and m.creator_wallet = %(creator)s

-- name: where_part
-- Markets whose question or description contains a word in any form, or as a part of another word.
and (
    d.search @@ websearch_to_tsquery('english', %(words)s::text)
    or d.question ilike %(part)s or d.description ilike %(part)s
)

-- name: where_words
-- Markets whose question or description contains all words in any form, or all with the last one incomplete. Parts of
-- several words are not searched: an index of parts would have to read every row of each frequent part.
and (
    d.search @@ websearch_to_tsquery('english', %(words)s::text)
    or d.search @@ to_tsquery('simple', %(prefix)s::text)
)

-- name: market_exists
-- Whether the market is shown.
exists (select from marts.markets as m where m.is_known and m.market_no = {the_market})

-- name: where_market_before
-- Markets after a cursor.
and ({sort_key}, m.market_no) {comparison} (%(cursor_key)s::{sort_type}, %(cursor_no)s::int)

-- name: where_holder_before
-- Holders after a cursor.
and ({sort_key}, h.wallet_no) < (%(cursor_key)s::numeric, %(cursor_no)s::int)

-- name: dispute_period_seconds
-- The dispute period by the current configuration; program and finalizer use no other.
coalesce((
    select p.dispute_period from marts.protocol_config as p
    where p.dispute_period is not null order by p.order_key desc limit 1
), 259200)

-- name: after_seconds
-- An instant some seconds later; the chain accepts periods of any length, a timestamp does not.
case when {instant} is not null then
    to_timestamp(least(extract(epoch from {instant}) + {seconds}, 253402300799)::double precision)
end

-- name: named_market
-- The market of a list of one market's trades.
'market_id', (select s.market_id from raw.markets_seen as s where s.market_no = {the_market}),
