{{ config(
    key=['period'],
) }}

with events as (
    select * from {{ source('raw', 'events') }}
),

feed as (
    select * from {{ source('raw', 'feed') }}
),

trades as (
    select * from {{ ref('trades') }}
),

positions as (
    select * from {{ ref('positions') }}
),

lifecycle as (
    select * from {{ ref('market_lifecycle') }}
),

ballots as (
    select * from {{ ref('ballots') }}
),

activity as (
    select * from {{ ref('activity') }}
),

markets as (
    select * from {{ ref('markets') }}
),

portfolio as (
    select * from {{ ref('portfolio') }}
),

periods as (
    select * from {{ periods() }} as spans
),

trade_sums as (
    select
        periods.period,
        count(*) as trades_count,
        sum(case trades.trade_type when 'buy' then trades.cost else trades.gross end) as volume,
        sum(trades.cost) filter (where trades.trade_type = 'buy') as buy_volume,
        sum(trades.protocol_fee) as protocol_fees,
        sum(trades.resolver_fee) as resolver_fees,
        sum(trades.lp_fee) as lp_fees
    from trades
    inner join periods on periods.from_at < trades.block_time
    group by periods.period
),

traders as (
    select
        periods.period,
        count(distinct positions.wallet_no) as traders_count
    from positions
    inner join periods on periods.from_at < positions.last_trade_at
    group by periods.period
),

arrivals as (
    select
        wallet_no,
        {{ instant('min(clock)') }} as first_seen_at
    from events
    where retracted_at is null and wallet_no is not null
    group by wallet_no
),

newcomers as (
    select
        periods.period,
        count(*) as new_wallets_count
    from arrivals
    inner join periods on periods.from_at < arrivals.first_seen_at
    group by periods.period
),

steps as (
    select
        periods.period,
        count(*) filter (where lifecycle.event = 'MarketCreated') as markets_created,
        count(*) filter (where lifecycle.event = 'MarketActivated') as markets_activated,
        count(*) filter (where lifecycle.to_state = 'FINALIZED') as markets_finalized,
        count(*) filter (where lifecycle.event = 'MarketCancelled') as markets_cancelled,
        count(*) filter (where lifecycle.event = 'DisputeInitiated') as disputes_count
    from lifecycle
    inner join periods on periods.from_at < lifecycle.block_time
    group by periods.period
),

votes as (
    select
        periods.period,
        count(*) as ballots_count
    from ballots
    inner join periods on periods.from_at < ballots.cast_at
    group by periods.period
),

payouts as (
    select
        periods.period,
        count(*) filter (where activity.event = 'WinningsClaimed') as claims_count,
        sum(activity.amount) filter (where activity.event = 'WinningsClaimed') as claims_paid,
        sum(activity.amount) filter (where activity.event = 'LiquidityWithdrawn') as liquidity_withdrawn
    from activity
    inner join periods on periods.from_at < activity.block_time
    where activity.event in ('WinningsClaimed', 'LiquidityWithdrawn')
    group by periods.period
),

standing as (
    select
        count(*) as markets_count,
        count(*) filter (where state = 'ACTIVE') as active_markets_count
    from markets
    where is_known
),

open_shares as (
    select sum(shares_yes + shares_no) as open_interest_shares
    from portfolio
    where settlement = 'OPEN'
),

final as (
    select
        periods.period,
        periods.from_at,
        periods.to_at,
        coalesce(trade_sums.trades_count, 0) as trades_count,
        coalesce(trade_sums.volume, 0)::numeric(39, 0) as volume,
        coalesce(trade_sums.buy_volume, 0)::numeric(39, 0) as buy_volume,
        (coalesce(trade_sums.volume, 0) - coalesce(trade_sums.buy_volume, 0))::numeric(39, 0) as sell_volume,
        coalesce(traders.traders_count, 0) as traders_count,
        coalesce(newcomers.new_wallets_count, 0) as new_wallets_count,
        coalesce(steps.markets_created, 0) as markets_created,
        coalesce(steps.markets_activated, 0) as markets_activated,
        coalesce(steps.markets_finalized, 0) as markets_finalized,
        coalesce(steps.markets_cancelled, 0) as markets_cancelled,
        coalesce(steps.disputes_count, 0) as disputes_count,
        coalesce(votes.ballots_count, 0) as ballots_count,
        coalesce(payouts.claims_count, 0) as claims_count,
        coalesce(payouts.claims_paid, 0)::numeric(39, 0) as claims_paid,
        coalesce(payouts.liquidity_withdrawn, 0)::numeric(39, 0) as liquidity_withdrawn,
        coalesce(trade_sums.protocol_fees, 0)::numeric(39, 0) as protocol_fees,
        coalesce(trade_sums.resolver_fees, 0)::numeric(39, 0) as resolver_fees,
        coalesce(trade_sums.lp_fees, 0)::numeric(39, 0) as lp_fees,
        standing.markets_count,
        standing.active_markets_count,
        coalesce(open_shares.open_interest_shares, 0)::numeric(39, 0) as open_interest_shares,
        (select coalesce(max(log.seq), 0) from feed as log) as last_seq
    from periods
    cross join standing
    cross join open_shares
    left join trade_sums on periods.period = trade_sums.period
    left join traders on periods.period = traders.period
    left join newcomers on periods.period = newcomers.period
    left join steps on periods.period = steps.period
    left join votes on periods.period = votes.period
    left join payouts on periods.period = payouts.period
)

select * from final
