-- What was realized day by day and moment by moment is the realized profit of each wallet; rows returned break it. Only where
-- the three say what the log said up to the same seq.
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
