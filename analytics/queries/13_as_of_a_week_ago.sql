-- Of the markets that have traded in the last week, what state and price did each have at its beginning?
-- markets_as_of folds the history up to a slot again, with the same SQL that updates the live mart. It takes a slot,
-- and optionally one market; positions_as_of and vote_tallies_as_of do the same. slot_at returns the last slot whose
-- chain clock is not after an instant. For an instant before the log begins it returns null.
with a_week_ago as (
    select slot_at(max(block_time) - interval '7 days') as slot
    from trades
)

select
    left(markets.id, 8) as market,
    past.state as state_then,
    markets.state as state_now,
    (past.price_yes / 1e9)::numeric(5, 4) as price_then,
    (markets.price_yes / 1e9)::numeric(5, 4) as price_now,
    past.trades_count as trades_then,
    markets.trades_count as trades_now
from a_week_ago
cross join lateral markets_as_of(a_week_ago.slot) as past
inner join markets on past.market_no = markets.market_no
where markets.last_trade_at > past.last_trade_at
order by markets.total_volume desc, markets.id asc
limit 10;
