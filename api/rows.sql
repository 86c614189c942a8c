-- Parts of statements: the columns of an answer's rows and the conditions of its lists, each written once.
-- queries.sql and live/live.sql name them in braces. Integers that protocol.md 5 promises as numbers have an exact
-- decimal string beside them; names in camel case are those of the browser's types (protocol.md 5.3).

-- name: stated
-- What an answer says about itself, taken from ops.as_of as a.
a.epoch, a.seq, a.slot, a.commitment

-- name: as_of
-- The same as an object in the body.
json_build_object('epoch', a.epoch, 'seq', a.seq, 'slot', a.slot, 'commitment', a.commitment)

-- name: question
-- A market's question d.question, or a placeholder of legal length while nobody has told us one.
coalesce(d.question, 'Market ' || left(m.id, 8) || '…')

-- name: market_brief
-- What a list shows of market m with its metadata d.
m.id,
m.on_chain_address,
{question} as question,
d.description,
coalesce(d.category, 'other') as category,
coalesce(d.tags, '{}') as tags,
d.ends_at as end_date,
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
m.current_price_yes,
m.current_price_no,
m.current_price_yes as "priceYes",
m.current_price_no as "priceNo",
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
m.created_at as "createdAt",
m.activated_at as "activatedAt",
m.resolution_proposed_at as "resolutionTime",
m.finalized_at as "finalizedAt",
m.last_seq

-- name: market_full
-- What is shown of market m alone, beyond the brief columns.
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

-- name: trade
-- One trade t. outcome is the word the browser compares with; price is that outcome's price after the trade.
t.tx_signature || ':' || t.ordinal as id,
t.market_id,
t.market_id as "marketId",
t.user_wallet,
t.user_wallet as trader,
t.trade_type,
case when t.outcome then 'YES' else 'NO' end as outcome,
t.outcome as outcome_bool,
t.shares,
t.shares::text as shares_exact,
t.cost,
t.cost::text as cost_exact,
t.gross::text as gross_lamports,
t.protocol_fee::text as protocol_fee_lamports,
t.resolver_fee::text as resolver_fee_lamports,
t.lp_fee::text as lp_fee_lamports,
t.fees_exact as are_fees_exact,
t.price_after,
case when t.outcome then t.price_after else 1 - t.price_after end as price,
t.new_price_yes,
t.tx_signature,
t.ordinal,
t.slot,
t.seq,
t.block_time,
t.block_time as created_at,
t.block_time as "timestamp"

-- name: claimable
-- Lamports that position p of market m could claim: pro rata of the pool, or the stake back (protocol.md 1.4.10).
case
    when m.state <> 'FINALIZED' or p.has_claimed then 0
    when m.outcome = 'INVALID' then p.total_invested
    when m.outcome = 'YES' and m.shares_yes > 0 then div(p.shares_yes * m.current_liquidity, m.shares_yes)
    when m.outcome = 'NO' and m.shares_no > 0 then div(p.shares_no * m.current_liquidity, m.shares_no)
    else 0
end

-- name: position
-- One position p in market m with its metadata d, worth v.claimable once final and v.marked until then.
p.market_id,
p.market_id as "marketId",
m.on_chain_address as market_address,
p.user_wallet,
p.user_wallet as "userId",
p.shares_yes,
p.shares_yes::text as shares_yes_exact,
p.shares_yes as "sharesYes",
p.shares_no,
p.shares_no::text as shares_no_exact,
p.shares_no as "sharesNo",
p.total_invested,
p.total_invested::text as total_invested_exact,
p.total_invested as "totalCost",
p.total_proceeds,
p.total_proceeds::text as total_proceeds_exact,
v.current_value,
v.current_value::text as current_value_exact,
v.claimable_amount,
v.claimable_amount::text as claimable_amount_exact,
-- Not told before a mart defines cost per share; a guess here would be a second definition.
null::numeric as "unrealizedPnL",
null::numeric as "realizedPnL",
p.trades_count,
p.has_claimed,
p.claimed_amount,
p.claimed_amount::text as claimed_amount_exact,
p.first_trade_at,
p.last_trade_at,
p.claimed_at,
{question} as question,
coalesce(d.category, 'other') as category,
m.state,
m.state_code,
m.outcome,
m.current_price_yes,
m.current_price_no,
greatest(p.last_seq, m.last_seq) as last_seq

-- name: vote
-- One ballot b in the shape of the older vote tables (protocol.md 9.5), and where it was cast.
b.market_id || ':' || b.kind || ':' || b.user_wallet as id,
b.market_id,
b.user_wallet,
b.kind as vote_type,
b.vote,
b.cast_at as voted_at,
b.cast_at as created_at,
b.source,
b.tx_signature,
b.last_seq

-- name: from_markets
-- Markets m that are shown, with their metadata d.
marts.markets as m
left join app.market_metadata as d on m.id = d.market_id

-- name: the_market
-- The number of the market that goes by a 64-hex id or an address.
(select s.market_no from raw.markets_seen as s where s.market_id = %(market)s or s.account = %(market)s)

-- name: the_wallet
-- The number of a wallet, if the log has met it.
(select w.wallet_no from raw.wallets_seen as w where w.wallet = %(wallet)s)

-- name: where_state
-- Markets in one state.
and m.state_code = %(state_code)s

-- name: where_category
-- Markets of one category.
and coalesce(d.category, 'other') = %(category)s

-- name: where_creator
-- Markets of one creator.
and m.creator_wallet = %(creator)s

-- name: where_q
-- Markets whose question or description contains a text, whatever the case.
and (d.question ilike %(q)s or d.description ilike %(q)s)

-- name: where_market
-- Trades of one market.
and t.market_no = {the_market}

-- name: where_wallet
-- Trades of one wallet.
and t.wallet_no = {the_wallet}

-- name: market_exists
-- Whether the market is there to be shown.
exists (select from marts.markets as m where m.is_known and m.market_no = {the_market})

-- name: of_a_shown_market
-- Whether a trade's market is shown. A subquery, not a join: rows come in index order, and only those shown are looked at.
(select m.is_known from marts.markets as m where m.market_no = t.market_no)

-- name: named_market
-- A list of one market's trades says whose they are.
'market_id', (select s.market_id from raw.markets_seen as s where s.market_no = {the_market}),

-- name: named_wallet
-- A list of one wallet's trades says whose they are.
'wallet', %(wallet)s::text,

-- name: where_market_before
-- Markets that stand below a cursor.
and ({sort_key}, m.market_no) {comparison} (%(cursor_key)s::{sort_type}, %(cursor_no)s::int)

-- name: where_trade_before
-- Trades that stand below a cursor.
and (t.order_key, t.seq) < (%(cursor_key)s::bigint, %(cursor_no)s::bigint)

-- name: cursor
-- Where the next page of p begins: sort, key and number of the last row shown, in base64url.
translate(encode(convert_to(json_build_array(%(sort)s::text, p.sort_key::text, p.number)::text, 'UTF8'), 'base64'),
    E'+/=\n', '-_')

-- name: the_positions
-- A wallet's positions p in markets m that are shown; more conditions may follow.
select {position}
from marts.positions as p
inner join marts.markets as m on p.market_no = m.market_no
left join app.market_metadata as d on m.id = d.market_id
cross join lateral (
    select
        {claimable} as claimable_amount,
        case
            when m.state in ('FINALIZED', 'CANCELLED') then {claimable}
            else div(
                p.shares_yes * coalesce(m.price_yes, 0)
                + p.shares_no * (1000000000 - coalesce(m.price_yes, 1000000000)), 1000000000
            )
        end as current_value
) as v
where m.is_known and p.wallet_no = {the_wallet}

-- name: market_brief_row
-- The brief columns as one JSON object, in a statement that has m and d.
(select row_to_json(r) from (select {market_brief}) as r)

-- name: together
-- A statement for many values of one parameter: its columns after the number of the value, from 1.
select asked.number, answer.*
from unnest({values}) with ordinality as asked (value, number)
cross join lateral (
    {one}
) as answer

-- name: activity
-- One thing v that happened.
v.tx_signature || ':' || v.ordinal as id,
v.type,
v.event,
v.action,
v.market_id,
v.user_wallet,
v.amount::text as amount,
v.tx_signature,
v.ordinal,
v.order_key >> 24 as slot,
v.seq,
v.block_time

-- name: activity_of_market
-- A page's rows of what happened in one market.
select v.seq as number, v.order_key as sort_key
from marts.activity as v
where v.market_no = {the_market} {beyond}
order by v.order_key desc, v.seq desc
limit {bound}

-- name: activity_of_wallet
-- A page's rows of what one wallet did. The log has its events by market: of each market the newest place is one look,
-- and the newest rows of all stand in the markets with the newest places. So a busy wallet's history is never read whole.
with recursive visited as (
    (
        select e.market_no from raw.events as e
        where e.wallet_no = {the_wallet} and e.market_no is not null
        order by e.market_no limit 1
    )
    union all
    select n.market_no from visited as p cross join lateral (
        select e.market_no from raw.events as e
        where e.wallet_no = {the_wallet} and e.market_no > p.market_no
        order by e.market_no limit 1
    ) as n
),
newest as (
    select p.market_no from visited as p
    cross join lateral (
        select v.order_key from marts.activity as v
        where v.wallet_no = {the_wallet} and v.market_no = p.market_no {beyond}
        order by v.order_key desc limit 1
    ) as n
    where (select m.is_known from marts.markets as m where m.market_no = p.market_no)
    order by n.order_key desc
    limit {bound}
)
select r.number, r.sort_key from (
    select w.* from newest as p cross join lateral (
        select v.seq as number, v.order_key as sort_key from marts.activity as v
        where v.wallet_no = {the_wallet} and v.market_no = p.market_no {beyond}
        order by v.order_key desc limit {bound}
    ) as w
    union all
    select w.* from (
        select v.seq as number, v.order_key as sort_key from marts.activity as v
        where v.wallet_no = {the_wallet} and v.market_no is null {beyond}
        order by v.order_key desc limit {bound}
    ) as w
) as r
order by r.sort_key desc, r.number desc
limit {bound}

-- name: where_activity_before
-- What happened before a cursor.
and (v.order_key, v.seq) < (%(cursor_key)s::bigint, %(cursor_no)s::bigint)

-- name: newest_trades
-- The newest trades of markets that are shown.
(
    select r.number from (
        select t.seq as number, t.order_key from marts.trades as t
        where (select m.is_known from marts.markets as m where m.market_no = t.market_no)
        order by t.order_key desc limit {bound}
    ) as r
    order by r.order_key desc limit %(trades)s
)

-- name: newest_events
-- The newest events of these names in the lives of markets that are shown.
(
    select r.number from unnest(array[{events}]) as n (name)
    cross join lateral (
        select c.seq as number, c.order_key from marts.market_lifecycle as c
        where c.event = n.name
            and (select m.is_known from marts.markets as m where m.market_no = c.market_no)
        order by c.order_key desc limit {bound}
    ) as r
    order by r.order_key desc limit %(others)s
)

-- name: where_holder_before
-- Holders that stand below a cursor.
and ({sort_key}, h.wallet_no) < (%(cursor_key)s::numeric, %(cursor_no)s::int)

-- name: width
-- How long a candle lasts.
make_interval(secs => %(width_seconds)s::int)

-- name: origin
-- Where candles of any width begin; a day at 00:00 UTC.
timestamptz '2000-01-01 00:00+00'

-- name: start_of_minute
-- The start of the candle that holds minute c.
date_bin({width}, c.bucket_at, {origin})

-- name: buckets_filled
-- Every candle's start from the first trade on, the newest of them.
select g.start_at from generate_series(
    greatest(w.from_at, w.first_at, w.last_at - (%(limit)s::int - 1) * {width}), w.last_at, {width}
) as g (start_at)
where w.first_at is not null

-- name: buckets_traded
-- The start of every candle in which the market traded, from the newest back: one look into the index for each.
with recursive traded (start_at, number) as (
    select n.start_at, 1 from (
        select {start_of_minute} as start_at from marts.candles_1m as c
        where c.market_no = m.market_no and c.bucket_at < w.last_at + {width}
        order by c.bucket_at desc limit 1
    ) as n
    union all
    select n.start_at, b.number + 1 from traded as b cross join lateral (
        select {start_of_minute} as start_at from marts.candles_1m as c
        where c.market_no = m.market_no and c.bucket_at < b.start_at
        order by c.bucket_at desc limit 1
    ) as n
    where b.number < %(limit)s
)
select b.start_at from traded as b where w.from_at is null or b.start_at >= w.from_at

-- name: config_in_force
-- The configuration as of now, field by field f: what the newest event that says it says, else what initialize sets
-- (protocol.md 1.4.1). Integers of 64 bits are text.
(
    values
    ('protocol_fee_bps', '300'::jsonb),
    ('resolver_reward_bps', '200'),
    ('liquidity_provider_fee_bps', '500'),
    ('proposal_approval_threshold', '7000'),
    ('dispute_success_threshold', '6000'),
    ('min_resolution_delay', '"86400"'),
    ('dispute_period', '"259200"'),
    ('is_paused', 'false'),
    ('admin', 'null'),
    ('backend_authority', 'null')
) as f (name, initial)
left join lateral (
    select
        case when jsonb_typeof(f.initial) = 'string' then to_jsonb(s.said #>> '{}') else s.said end as value,
        p.event, p.tx_signature, p.order_key >> 24 as slot, p.seq, p.block_time
    from marts.protocol_config as p
    cross join lateral (select to_jsonb(p) -> f.name as said) as s
    where s.said <> 'null'
    order by p.order_key desc limit 1
) as s on true

-- name: dispute_period_seconds
-- How long a proposed outcome can be disputed, by the configuration in force now; program and finalizer read no other.
coalesce((
    select p.dispute_period from marts.protocol_config as p
    where p.dispute_period is not null order by p.order_key desc limit 1
), 259200)

-- name: after_seconds
-- An instant some seconds later; the chain takes periods of any length, a timestamp does not.
case when {instant} is not null then
    to_timestamp(least(extract(epoch from {instant}) + {seconds}, 253402300799)::double precision)
end

-- name: portfolio_row
-- One position p of a portfolio in market m with its metadata d; every amount is text.
p.market_id,
p.on_chain_address as market_address,
{question} as question,
p.state,
p.outcome,
p.shares_yes::text as shares_yes,
p.shares_no::text as shares_no,
p.cost_yes::text as cost_yes,
p.cost_no::text as cost_no,
p.total_invested::text as total_invested,
p.total_proceeds::text as total_proceeds,
p.trades_count,
p.has_claimed,
p.claimed_amount::text as claimed_amount,
p.claimable::text as claimable,
p.is_pool_withdrawn,
p.current_value::text as current_value,
p.realized_pnl::text as realized_pnl,
p.unrealized_pnl::text as unrealized_pnl,
p.profit::text as profit,
p.first_trade_at,
p.last_trade_at,
p.last_seq
