-- The sums of realized profit by day and by moment equal the realized profit of each wallet; returned rows are violations. Only
-- if the three reflect the same seq of the log.
with daily as (
    select
        wallet_no,
        sum(realized_pnl) as lamports
    from {{ ref('pnl_history') }}
    group by wallet_no
),

momentary as (
    select
        wallet_no,
        sum(lamports) as lamports
    from {{ ref('realizations') }}
    group by wallet_no
)

select
    wallets.wallet_no,
    wallets.realized_pnl,
    daily.lamports as by_day,
    momentary.lamports as by_moment
from {{ ref('wallets') }} as wallets
left join daily on wallets.wallet_no = daily.wallet_no
left join momentary on wallets.wallet_no = momentary.wallet_no
where
    (wallets.realized_pnl <> coalesce(daily.lamports, 0) or wallets.realized_pnl <> coalesce(momentary.lamports, 0))
    and (
        select count(distinct refreshed.applied_seq)
        from {{ source('ops', 'scheduled_models') }} as refreshed
        where refreshed.name in ('wallets', 'pnl_history', 'realizations')
    ) = 1
