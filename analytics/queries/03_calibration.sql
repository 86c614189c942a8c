-- When a market shows 70 %, does YES come true seven times in ten?
-- Each decided market counts once in each tenth of price in which it closed a day. The final price of a market is
-- excluded, because the outcome is known by then. With few markets a difference means little, hence the counts.
with price_tenths as (
    select distinct
        candles.market_no,
        least(candles.close * 10 / 1000000000, 9)::int as tenth
    from candles_1d as candles
    inner join markets on candles.market_no = markets.market_no
    where
        markets.outcome in ('YES', 'NO')
        and candles.bucket_at + interval '1 day' <= markets.resolution_proposed_at
)

select
    format('%s-%s %%', price_tenths.tenth * 10, price_tenths.tenth * 10 + 10) as price_yes,
    count(*) as markets,
    count(*) filter (where markets.outcome = 'YES') as came_true,
    round(avg((markets.outcome = 'YES')::int) * 100) as came_true_percent
from price_tenths
inner join markets on price_tenths.market_no = markets.market_no
group by price_tenths.tenth
order by price_tenths.tenth;
