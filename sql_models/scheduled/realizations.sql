{{ config(
    key=['market_no', 'wallet_no', 'kind', 'trade_seq'],
    indexes=['wallet_no, realized_at'],
) }}

with trades as not materialized (
    select * from {{ ref('trades') }}
),

portfolio as (
    select * from {{ ref('portfolio') }}
),

wallets as (
    select * from {{ source('raw', 'wallets_seen') }}
),

-- The result of each sell beyond the average cost of the sold shares: user positions that ever sold, trade by trade.
sellers as (
    select distinct
        market_no,
        wallet_no
    from trades
    where trade_type = 'sell'
),

with_average_cost as (
    select
        trades.*,
        folds.average_cost(
            null::numeric [], trades.trade_type = 'buy', trades.outcome = 'YES', trades.shares, trades.cost
        ) over (partition by trades.market_no, trades.wallet_no order by trades.order_key, trades.seq) as state
    from trades
    inner join sellers on trades.market_no = sellers.market_no and trades.wallet_no = sellers.wallet_no
),

running_totals as (
    select
        *,
        state[3] + state[6] as realized,
        lag(state[3] + state[6], 1, 0::numeric) over (
            partition by market_no, wallet_no order by order_key, seq
        ) as realized_before
    from with_average_cost
),

-- The end of each user position: the losing side is lost at finalization, the winning side is claimed or worth nothing.
ended as (
    select
        *,
        case outcome when 'YES' then cost_no when 'NO' then cost_yes else 0 end as losing_cost,
        case outcome when 'YES' then cost_yes when 'NO' then cost_no when 'INVALID' then cost_yes + cost_no else 0 end as paying_cost
    from portfolio
),

moments as (
    select
        market_no,
        wallet_no,
        'sell' as kind,
        seq as trade_seq,
        block_time as realized_at,
        realized - realized_before as lamports,
        last_seq
    from running_totals
    where trade_type = 'sell'
    union all
    select
        market_no,
        wallet_no,
        'loss' as kind,
        0 as trade_seq,
        decided_at as realized_at,
        -losing_cost as lamports,
        last_seq
    from ended
    where losing_cost <> 0
    union all
    select
        market_no,
        wallet_no,
        'claim' as kind,
        0 as trade_seq,
        claimed_at as realized_at,
        claimed_amount - paying_cost as lamports,
        last_seq
    from ended
    where has_claimed
    union all
    select
        market_no,
        wallet_no,
        'forfeit' as kind,
        0 as trade_seq,
        greatest(decided_at, liquidity_withdrawn_at) as realized_at,
        -paying_cost as lamports,
        last_seq
    from ended
    where not has_claimed and claimable = 0 and paying_cost <> 0
),

final as (
    select
        moments.market_no,
        moments.wallet_no,
        moments.kind,
        moments.trade_seq::bigint as trade_seq,
        wallets.wallet as user_wallet,
        moments.realized_at,
        moments.lamports::numeric(39, 0) as lamports,
        moments.last_seq
    from moments
    inner join wallets on moments.wallet_no = wallets.wallet_no
)

select * from final
