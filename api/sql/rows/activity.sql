-- name: activity
-- One event v.
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
-- A page's rows of the events of one market.
select v.seq as number, v.order_key as sort_key
from marts.activity as v
where v.market_no = {the_market} {beyond}
order by v.order_key desc, v.seq desc
limit {bound}

-- name: activity_of_wallet
-- A page's rows of the events of one wallet, in shown markets or in none. The log has a wallet's events by their place, so
-- only the page of a busy wallet's history is read.
select v.seq as number, v.order_key as sort_key
from marts.activity as v
where
    v.wallet_no = {the_wallet}
    and (v.market_no is null or (select m.is_known from marts.markets as m where m.market_no = v.market_no))
    {beyond}
order by v.order_key desc, v.seq desc
limit {bound}

-- name: where_activity_before
-- Events before a cursor.
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
