{{ config(
    key=['wallet_no'],
) }}

with events as (
    select * from {{ source('raw', 'events') }}
),

trades as (
    select * from {{ ref('trades') }}
),

portfolio as (
    select * from {{ ref('portfolio') }}
),

ballots as (
    select * from {{ ref('ballots') }}
),

seen as (
    select * from {{ source('raw', 'wallets_seen') }}
),

acted as (
    select
        wallet_no,
        min(clock) as first_clock,
        max(clock) as last_clock,
        count(*) filter (where name = 'MarketCreated') as markets_created,
        count(*) filter (where name = 'MarketResolved') as markets_resolved,
        max(seq) as last_seq
    from events
    where retracted_at is null and wallet_no is not null
    group by wallet_no
),

traded as (
    select
        wallet_no,
        sum(case trade_type when 'buy' then cost else gross end) as volume
    from trades
    group by wallet_no
),

held as (
    select
        wallet_no,
        sum(trades_count)::bigint as trades_count,
        sum(total_invested) as total_invested,
        sum(total_proceeds) as total_proceeds,
        sum(claimed_amount) as claimed_amount,
        count(*) filter (where trades_count > 0) as markets_traded,
        count(*) filter (where settlement = 'OPEN') as open_positions,
        count(*) filter (where outcome in ('YES', 'NO') and trades_count > 0) as decided_count,
        count(*) filter (where outcome in ('YES', 'NO') and trades_count > 0 and profit > 0) as won_count,
        sum(current_value) as current_value,
        sum(claimable) as claimable,
        sum(realized_pnl) as realized_pnl,
        sum(unrealized_pnl) as unrealized_pnl,
        sum(profit) as profit,
        max(last_seq) as last_seq
    from portfolio
    group by wallet_no
),

voted as (
    select
        wallet_no,
        count(*) filter (where kind = 'proposal') as proposal_votes,
        count(*) filter (where kind = 'dispute') as dispute_votes,
        max(last_seq) as last_seq
    from ballots
    group by wallet_no
),

final as (
    select
        seen.wallet_no,
        seen.wallet as user_wallet,
        {{ instant('acted.first_clock') }} as first_seen_at,
        {{ instant('acted.last_clock') }} as last_seen_at,
        coalesce(held.trades_count, 0) as trades_count,
        coalesce(traded.volume, 0)::numeric(39, 0) as volume,
        coalesce(held.total_invested, 0)::numeric(39, 0) as total_invested,
        coalesce(held.total_proceeds, 0)::numeric(39, 0) as total_proceeds,
        coalesce(held.claimed_amount, 0)::numeric(39, 0) as claimed_amount,
        coalesce(held.markets_traded, 0) as markets_traded,
        coalesce(held.open_positions, 0) as open_positions,
        coalesce(acted.markets_created, 0) as markets_created,
        coalesce(acted.markets_resolved, 0) as markets_resolved,
        coalesce(voted.proposal_votes, 0) as proposal_votes,
        coalesce(voted.dispute_votes, 0) as dispute_votes,
        coalesce(held.decided_count, 0) as decided_count,
        coalesce(held.won_count, 0) as won_count,
        (held.won_count * 10000 / nullif(held.decided_count, 0))::int as win_rate_bps,
        coalesce(held.current_value, 0)::numeric(39, 0) as current_value,
        coalesce(held.claimable, 0)::numeric(39, 0) as claimable,
        coalesce(held.realized_pnl, 0)::numeric(39, 0) as realized_pnl,
        coalesce(held.unrealized_pnl, 0)::numeric(39, 0) as unrealized_pnl,
        coalesce(held.profit, 0)::numeric(39, 0) as profit,
        coalesce(greatest(acted.last_seq, held.last_seq, voted.last_seq), 0) as last_seq
    from seen
    left join acted on seen.wallet_no = acted.wallet_no
    left join traded on seen.wallet_no = traded.wallet_no
    left join held on seen.wallet_no = held.wallet_no
    left join voted on seen.wallet_no = voted.wallet_no
)

select * from final
