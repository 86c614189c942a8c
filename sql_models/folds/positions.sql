{{ config(
    fold_key=['market_no', 'wallet_no'],
    fold_scope=['market_no', 'wallet_no'],
    indexes=['wallet_no'],
) }}

with log as (
    select * from {{ log_events(['SharesBought', 'SharesSold', 'WinningsClaimed']) }} as events
),

markets as (
    select * from {{ source('raw', 'markets_seen') }}
),

wallets as (
    select * from {{ source('raw', 'wallets_seen') }}
),

events as (
    select
        seq,
        market_no,
        wallet_no,
        clock,
        name,
        case name when 'SharesBought' then 1 when 'SharesSold' then -1 end as direction,
        (payload ->> 'outcome')::boolean as is_yes,
        (payload ->> 'shares')::numeric as shares,
        coalesce(payload ->> 'cost', payload ->> 'proceeds', payload ->> 'amount')::numeric as lamports
    from log
),

folded as (
    select
        market_no,
        wallet_no,
        coalesce(sum(direction * shares) filter (where is_yes and direction is not null), 0) as shares_yes,
        coalesce(sum(direction * shares) filter (where not is_yes and direction is not null), 0) as shares_no,
        coalesce(sum(lamports) filter (where direction = 1), 0) as total_invested,
        coalesce(sum(lamports) filter (where direction = -1), 0) as total_proceeds,
        count(direction) as trades_count,
        bool_or(direction is null) as has_claimed,
        coalesce(sum(lamports) filter (where direction is null), 0) as claimed_amount,
        min(clock) filter (where direction is not null) as first_trade_clock,
        max(clock) filter (where direction is not null) as last_trade_clock,
        max(clock) filter (where direction is null) as claimed_clock,
        max(seq) as last_seq
    from events
    group by market_no, wallet_no
),

final as (
    select
        folded.market_no,
        folded.wallet_no,
        markets.market_id,
        markets.account as on_chain_address,
        wallets.wallet as user_wallet,
        folded.shares_yes::numeric(39, 0) as shares_yes,
        folded.shares_no::numeric(39, 0) as shares_no,
        folded.total_invested::numeric(39, 0) as total_invested,
        folded.total_proceeds::numeric(39, 0) as total_proceeds,
        folded.trades_count,
        folded.has_claimed,
        folded.claimed_amount::numeric(39, 0) as claimed_amount,
        {{ instant('folded.first_trade_clock') }} as first_trade_at,
        {{ instant('folded.last_trade_clock') }} as last_trade_at,
        {{ instant('folded.claimed_clock') }} as claimed_at,
        folded.last_seq
    from folded
    inner join markets on folded.market_no = markets.market_no
    inner join wallets on folded.wallet_no = wallets.wallet_no
)

select * from final
