{{ config(
    key=['period', 'wallet_no'],
    indexes=[
        'period, profit_rank, user_wallet', 'period, volume_rank, user_wallet', 'period, trades_rank, user_wallet',
        'period, win_rate_rank, user_wallet',
    ],
) }}

with trades as (
    select * from {{ ref('trades') }}
),

realizations as (
    select * from {{ ref('realizations') }}
),

portfolio as (
    select * from {{ ref('portfolio') }}
),

wallets as (
    select * from {{ source('raw', 'wallets_seen') }}
),

periods as (
    select * from {{ periods() }} as spans
),

-- By market first, so that markets are counted without sorting trades.
traded as (
    select
        periods.period,
        trades.wallet_no,
        trades.market_no,
        count(*) as trades_count,
        sum(case trades.trade_type when 'buy' then trades.cost else trades.gross end) as volume,
        max(trades.last_seq) as last_seq
    from trades
    inner join periods on periods.from_at < trades.block_time
    group by periods.period, trades.wallet_no, trades.market_no
),

realized as (
    select
        periods.period,
        realizations.wallet_no,
        sum(realizations.lamports) as profit,
        max(realizations.last_seq) as last_seq
    from realizations
    inner join periods on periods.from_at < realizations.realized_at
    group by periods.period, realizations.wallet_no
),

-- A decided market is won if it ended with a profit; INVALID decides nothing.
decided as (
    select
        periods.period,
        portfolio.wallet_no,
        count(*) as decided_count,
        count(*) filter (where portfolio.profit > 0) as won_count,
        max(portfolio.last_seq) as last_seq
    from portfolio
    inner join periods on periods.from_at < portfolio.decided_at
    where portfolio.outcome in ('YES', 'NO') and portfolio.trades_count > 0
    group by periods.period, portfolio.wallet_no
),

parts as (
    select
        period,
        wallet_no,
        0 as profit,
        volume,
        trades_count,
        1 as markets_count,
        0 as decided_count,
        0 as won_count,
        last_seq
    from traded
    union all
    select
        period,
        wallet_no,
        profit,
        0 as volume,
        0 as trades_count,
        0 as markets_count,
        0 as decided_count,
        0 as won_count,
        last_seq
    from realized
    union all
    select
        period,
        wallet_no,
        0 as profit,
        0 as volume,
        0 as trades_count,
        0 as markets_count,
        decided_count,
        won_count,
        last_seq
    from decided
),

totals as (
    select
        period,
        wallet_no,
        sum(profit) as profit,
        sum(volume) as volume,
        sum(trades_count)::bigint as trades_count,
        sum(markets_count)::bigint as markets_count,
        sum(decided_count)::bigint as decided_count,
        sum(won_count)::bigint as won_count,
        max(last_seq) as last_seq
    from parts
    group by period, wallet_no
),

rated as (
    select
        *,
        (won_count * 10000 / nullif(decided_count, 0))::int as win_rate_bps,
        -- One lucky market is not a record.
        decided_count >= 3 as has_record
    from totals
),

final as (
    select
        rated.period,
        rated.wallet_no,
        wallets.wallet as user_wallet,
        rated.profit::numeric(39, 0) as profit,
        rated.volume::numeric(39, 0) as volume,
        rated.trades_count,
        rated.markets_count,
        rated.decided_count,
        rated.won_count,
        rated.win_rate_bps,
        rank() over (partition by rated.period order by rated.profit desc) as profit_rank,
        rank() over (partition by rated.period order by rated.volume desc) as volume_rank,
        rank() over (partition by rated.period order by rated.trades_count desc) as trades_rank,
        case
            when rated.has_record
                then rank() over (partition by rated.period, rated.has_record order by rated.win_rate_bps desc)
        end as win_rate_rank,
        rated.last_seq
    from rated
    inner join wallets on rated.wallet_no = wallets.wallet_no
)

select * from final
