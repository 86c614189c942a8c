-- Of the markets that have traded in the last week, what state and price did each have at its beginning?
-- markets_as_of folds the history up to a slot again, by the same text that updates live markets. It takes a slot, and
-- a market if one is enough; positions_as_of and vote_tallies_as_of do the same.
with a_week_ago as (
    select max(slot) as slot
    from trades
    where block_time <= (select max(newest.block_time) from trades as newest) - interval '7 days'
)

select
    left(markets.id, 8) as market,
    past.state as state_then,
    markets.state as state_now,
    past.current_price_yes::numeric(5, 4) as price_then,
    markets.current_price_yes::numeric(5, 4) as price_now,
    past.trades_count as trades_then,
    markets.trades_count as trades_now
from a_week_ago
cross join lateral markets_as_of(a_week_ago.slot) as past
inner join markets on past.market_no = markets.market_no
where markets.last_trade_at > past.last_trade_at
order by markets.total_volume desc, markets.id asc
limit 10;
