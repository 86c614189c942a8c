-- How much is traded each day, and how much of it goes to the protocol, to resolvers and to liquidity providers?
-- A buy counts with its fees, a sell before its fees, as in total_volume of a market. So the sums over days equal the
-- sums over markets.
select
    (block_time at time zone 'UTC')::date as day,
    count(*) as trades,
    count(distinct wallet_no) as traders,
    round(sum(case trade_type when 'buy' then cost else gross end) / 1e9, 3) as volume_sol,
    round(sum(protocol_fee) / 1e9, 3) as protocol_sol,
    round(sum(resolver_fee) / 1e9, 3) as resolvers_sol,
    round(sum(lp_fee) / 1e9, 3) as providers_sol
from trades
group by 1
order by 1 desc
limit 10;
