with price_tenths as (
    select distinct
        candles.market_no,
        toInt32(least(intDiv(candles.close * 10, 1000000000), 9)) as tenth
    from candles_1d as candles
    inner join markets on candles.market_no = markets.market_no
    where
        markets.outcome in ('YES', 'NO')
        and candles.bucket_at + interval 1 day <= markets.resolution_proposed_at
)

select
    format('{}-{} %', toString(price_tenths.tenth * 10), toString(price_tenths.tenth * 10 + 10)) as price_yes,
    count(*) as markets,
    count(*) filter (where markets.outcome = 'YES') as came_true,
    round(avg(toInt32(markets.outcome = 'YES')) * 100) as came_true_percent
from price_tenths
inner join markets on price_tenths.market_no = markets.market_no
group by price_tenths.tenth
order by price_tenths.tenth;
