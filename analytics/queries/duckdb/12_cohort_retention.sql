with traded as (
    select distinct
        wallet_no,
        date_trunc('week', block_time at time zone 'UTC')::date as week
    from trades
),

cohorts as (
    select
        wallet_no,
        min(week) as cohort
    from traded
    group by wallet_no
),

returns as (
    select
        cohorts.cohort,
        (traded.week - cohorts.cohort) // 7 as weeks_later,
        count(*) as wallets,
        max(traded.week) over () as newest_week
    from cohorts
    inner join traded on cohorts.wallet_no = traded.wallet_no
    group by cohorts.cohort, traded.week
),

sizes as (
    select
        cohort,
        wallets,
        (newest_week - cohort) // 7 as weeks_seen
    from returns
    where weeks_later = 0
)

select
    sizes.cohort,
    sizes.wallets,
    case when sizes.weeks_seen >= 1 then coalesce(max(100 * returns.wallets) filter (where returns.weeks_later = 1), 0) // sizes.wallets end as week_1,
    case when sizes.weeks_seen >= 2 then coalesce(max(100 * returns.wallets) filter (where returns.weeks_later = 2), 0) // sizes.wallets end as week_2,
    case when sizes.weeks_seen >= 3 then coalesce(max(100 * returns.wallets) filter (where returns.weeks_later = 3), 0) // sizes.wallets end as week_3
from sizes
inner join returns on sizes.cohort = returns.cohort
group by sizes.cohort, sizes.wallets, sizes.weeks_seen
order by sizes.cohort;
