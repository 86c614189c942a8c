-- name: asked_markets
-- The markets of a request by place, each with its number where the log contains it; names are separated by spaces.
select a.place, a.name, coalesce(
    (select s.market_no from raw.markets_seen as s where s.market_id = a.name),
    (select s.market_no from raw.markets_seen as s where s.account = a.name)
) as market_no
from string_to_table(%(market_names)s::text, ' ') with ordinality as a (name, place)

-- name: missing_markets
-- The requested names that are no shown market, in the order of the request.
coalesce((
    select json_agg(a.name order by a.place)
    from asked as a left join marts.markets as m on a.market_no = m.market_no
    where m.is_known is not true
), '[]')

-- name: market_batch_version
-- The versions of market m, of its metadata d, of its page g and of its prices. A trade changes its market's row, so only another table of
-- trades, of a rebuild, must be distinguished. The first letter keeps these versions apart from those of a list.
concat_ws(
    ':', m.market_no, 'p{points}', (select t.tableoid from marts.priced_trades as t limit 1), m.tableoid, m.xmin, d.xmin,
    'g' || g.xmin::text
)

-- name: sparkline
-- The prices of YES after the newest trades of market m, 0 to 1, the latest last.
array_to_json(array(
    select round(t.price_yes * 0.000000001, 4)
    from (
        select q.price_yes, q.order_key
        from marts.priced_trades as q
        where q.market_no = m.market_no
        order by q.order_key desc limit {points}
    ) as t
    order by t.order_key
))

-- name: own_positions
-- The signed-in wallet's positions in the requested markets; none without a sign-in.
case when %(wallet)s::text is null then '[]' else coalesce((
    select json_agg(row_to_json(r)) from (
        select
            p.market_id,
            p.shares_yes::text as shares_yes,
            p.shares_no::text as shares_no,
            p.total_invested::text as total_invested,
            p.current_value::text as current_value,
            p.claimable::text as claimable,
            p.realized_pnl::text as realized_pnl,
            p.unrealized_pnl::text as unrealized_pnl,
            p.has_claimed
        from asked as q
        -- With its limit inside, the view is read for this market and wallet alone.
        cross join lateral (
            select v.* from marts.portfolio as v
            where v.market_no = q.market_no and v.wallet_no = {the_wallet}
            limit 1
        ) as p
        inner join marts.markets as m on q.market_no = m.market_no
        where m.is_known
        order by q.place
    ) as r
), '[]') end

-- name: of_the_market
-- Positions of one market.
and h.market_no = {the_market}
