with held as (
    select
        market_no,
        wallet_no,
        shares_yes + shares_no as shares,
        toFloat64(shares_yes + shares_no) / sum(toFloat64(shares_yes + shares_no)) over (partition by market_no) as part
    from holders
)

select
    left(markets.id, 8) as market,
    count(*) as holders,
    round(sum(held.shares) / 1e9, 1) as shares,
    round(max(held.part) * 100, 1) as largest_percent,
    round(1 / sum(held.part * held.part), 1) as as_if_wallets
from held
inner join markets on held.market_no = markets.market_no
where markets.state = 'ACTIVE'
group by markets.id
order by sum(held.shares) desc, markets.id
limit 10;
