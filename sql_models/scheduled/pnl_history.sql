{{ config(
    key=['wallet_no', 'day'],
) }}

with trades as (
    select * from {{ ref('trades') }}
),

positions as (
    select * from {{ ref('positions') }}
),

realizations as (
    select * from {{ ref('realizations') }}
),

wallets as (
    select * from {{ source('raw', 'wallets_seen') }}
),

traded as (
    select
        wallet_no,
        (block_time at time zone 'UTC')::date as day,
        count(*) as trades_count,
        sum(case trade_type when 'buy' then cost else gross end) as volume,
        coalesce(sum(cost) filter (where trade_type = 'buy'), 0) as invested,
        coalesce(sum(cost) filter (where trade_type = 'sell'), 0) as proceeds,
        max(last_seq) as last_seq
    from trades
    group by wallet_no, (block_time at time zone 'UTC')::date
),

claimed as (
    select
        wallet_no,
        (claimed_at at time zone 'UTC')::date as day,
        sum(claimed_amount) as claimed,
        max(last_seq) as last_seq
    from positions
    where has_claimed
    group by wallet_no, (claimed_at at time zone 'UTC')::date
),

realized as (
    select
        wallet_no,
        (realized_at at time zone 'UTC')::date as day,
        sum(lamports) as realized_pnl,
        max(last_seq) as last_seq
    from realizations
    group by wallet_no, (realized_at at time zone 'UTC')::date
),

parts as (
    select
        wallet_no,
        day,
        trades_count,
        volume,
        invested,
        proceeds,
        0 as claimed,
        0 as realized_pnl,
        last_seq
    from traded
    union all
    select
        wallet_no,
        day,
        0 as trades_count,
        0 as volume,
        0 as invested,
        0 as proceeds,
        claimed,
        0 as realized_pnl,
        last_seq
    from claimed
    union all
    select
        wallet_no,
        day,
        0 as trades_count,
        0 as volume,
        0 as invested,
        0 as proceeds,
        0 as claimed,
        realized_pnl,
        last_seq
    from realized
),

days as (
    select
        wallet_no,
        day,
        sum(trades_count)::bigint as trades_count,
        sum(volume) as volume,
        sum(invested) as invested,
        sum(proceeds) as proceeds,
        sum(claimed) as claimed,
        sum(realized_pnl) as realized_pnl,
        max(last_seq) as last_seq
    from parts
    group by wallet_no, day
),

final as (
    select
        days.wallet_no,
        days.day,
        wallets.wallet as user_wallet,
        days.trades_count,
        days.volume::numeric(39, 0) as volume,
        days.invested::numeric(39, 0) as invested,
        days.proceeds::numeric(39, 0) as proceeds,
        days.claimed::numeric(39, 0) as claimed,
        days.realized_pnl::numeric(39, 0) as realized_pnl,
        (sum(days.realized_pnl) over (partition by days.wallet_no order by days.day))::numeric(39, 0) as cumulative_realized_pnl,
        days.last_seq
    from days
    inner join wallets on days.wallet_no = wallets.wallet_no
)

select * from final
