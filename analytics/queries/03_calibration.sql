-- When a market says 70 %, does YES come true seven times in ten?
-- Each decided market counts once in each tenth of price it closed a day in. The price a market ends with is left out: it is
-- known by then. With few markets a difference says little, hence the counts.
with said as (
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
    format('%s-%s %%', said.tenth * 10, said.tenth * 10 + 10) as price_yes,
    count(*) as markets,
    count(*) filter (where markets.outcome = 'YES') as came_true,
    round(avg((markets.outcome = 'YES')::int) * 100) as came_true_percent
from said
inner join markets on said.market_no = markets.market_no
group by said.tenth
order by said.tenth;
