-- name: busiest_markets
-- The twenty markets with the most volume, in SOL.
select id, state, round(total_volume / 1000000000, 3) as volume_sol, trades_count, price_yes
from marts.markets
where is_known
order by total_volume desc, id asc
limit 20;

-- name: volume_by_day
-- Volume of each of the last thirty days in UTC, in SOL.
select (bucket_at at time zone 'UTC')::date as day, round(sum(volume) / 1000000000, 3) as volume_sol, sum(trades_count) as trades
from marts.candles_1d
group by 1
order by 1 desc
limit 30;

-- name: states
-- Number of markets in each state.
select state, count(*) as markets from marts.markets where is_known group by state order by state;

-- name: profit_of_wallets
-- The twenty wallets with the greatest profit, realized and unrealized, in SOL.
select user_wallet, round(sum(profit) / 1000000000, 6) as profit_sol, count(*) as positions
from marts.portfolio
group by user_wallet
order by sum(profit) desc, user_wallet
limit 20;
