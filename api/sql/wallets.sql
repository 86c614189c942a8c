-- What wallets hold and have made.

-- name: positions
-- A wallet's positions, the latest traded first; the body is an array.
select {stated}, coalesce((
    select json_agg(row_to_json(r)) from (
        {the_positions}
        order by p.last_trade_at desc nulls last, p.market_no
        limit %(limit)s offset %(offset)s
    ) as r
), {nothing})::text as body
from ops.as_of(array['positions', 'markets']) as a

-- name: position
-- A wallet's position in one market.
select {stated}, (
    select row_to_json(r) from (
        select q.*, {as_of} as as_of from (
            {the_positions} and p.market_no = {the_market}
        ) as q
    ) as r
)::text as body
from ops.as_of(array['positions', 'markets']) as a

-- name: portfolio
-- What a wallet's positions are worth and have made, the latest traded first, with the sums over all of them.
with held as materialized (
    select p.*
    from marts.portfolio as p
    where p.wallet_no = {the_wallet}
        and (select m.is_known from marts.markets as m where m.market_no = p.market_no)
)
select {stated}, json_build_object(
    'wallet', %(wallet)s::text,
    'totals', (
        select json_build_object(
            'total_invested', coalesce(sum(p.total_invested), 0)::text,
            'total_proceeds', coalesce(sum(p.total_proceeds), 0)::text,
            'claimed_amount', coalesce(sum(p.claimed_amount), 0)::text,
            'claimable', coalesce(sum(p.claimable), 0)::text,
            'current_value', coalesce(sum(p.current_value), 0)::text,
            'realized_pnl', coalesce(sum(p.realized_pnl), 0)::text,
            'unrealized_pnl', coalesce(sum(p.unrealized_pnl), 0)::text,
            'profit', coalesce(sum(p.profit), 0)::text
        )
        from held as p
    ),
    'positions', coalesce((
        select json_agg(row_to_json(r)) from (
            select {portfolio_row}
            from (
                select h.* from held as h
                order by h.last_trade_at desc nulls last, h.market_no
                limit %(limit)s offset %(offset)s
            ) as p
            inner join marts.markets as m on p.market_no = m.market_no
            left join app.market_metadata as d on m.id = d.market_id
            order by p.last_trade_at desc nulls last, p.market_no
        ) as r
    ), '[]'),
    'count', (select count(*) from held),
    'limit', %(limit)s::int,
    'offset', %(offset)s::int,
    'as_of', {as_of}
)::text as body
from ops.as_of(array['positions', 'position_costs', 'markets']) as a
