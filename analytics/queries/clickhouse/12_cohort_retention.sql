with traded as (
    select distinct
        wallet_no,
        toMonday(block_time) as week
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
        cohorts.cohort as cohort,
        intDiv(traded.week - cohorts.cohort, 7) as weeks_later,
        count(*) as wallets
    from cohorts
    inner join traded on cohorts.wallet_no = traded.wallet_no
    group by cohort, weeks_later
),

counted as (
    select
        cohort,
        sumIf(wallets, weeks_later = 0) as started,
        sumIf(wallets, weeks_later = 1) as week_1,
        sumIf(wallets, weeks_later = 2) as week_2,
        sumIf(wallets, weeks_later = 3) as week_3,
        intDiv((select max(week) from traded) - cohort, 7) as weeks_seen
    from returns
    group by cohort
)

select
    cohort,
    started as wallets,
    if(weeks_seen >= 1, intDiv(100 * counted.week_1, started), null) as week_1,
    if(weeks_seen >= 2, intDiv(100 * counted.week_2, started), null) as week_2,
    if(weeks_seen >= 3, intDiv(100 * counted.week_3, started), null) as week_3
from counted
order by cohort;
