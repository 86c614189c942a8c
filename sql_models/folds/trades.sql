{{ config(
    fold_key=['seq'],
    fold_scope=['seq'],
    fee_sensitive=true,
    indexes=[
        'market_no, order_key', 'wallet_no, order_key', 'order_key',
        {'columns': 'order_key', 'where': "gross_from in ('totals', 'provisional')"},
    ],
) }}

with trades as (
    select * from {{ ref('stg_trades') }}
),

markets as (
    select * from {{ source('raw', 'markets_seen') }}
),

wallets as (
    select * from {{ source('raw', 'wallets_seen') }}
),

final as (
    select
        trades.seq,
        trades.market_no,
        trades.wallet_no,
        markets.market_id,
        wallets.wallet as user_wallet,
        trades.signature as tx_signature,
        trades.ordinal,
        trades.order_key,
        trades.order_key >> 24 as slot,
        case when trades.is_buy then 'buy' else 'sell' end as trade_type,
        case when trades.is_yes then 'YES' else 'NO' end as outcome,
        trades.shares::numeric(39, 0) as shares,
        trades.cost::numeric(39, 0) as cost,
        trades.gross::numeric(39, 0) as gross,
        trades.protocol_fee::numeric(39, 0) as protocol_fee,
        trades.resolver_fee::numeric(39, 0) as resolver_fee,
        trades.lp_fee::numeric(39, 0) as lp_fee,
        trades.fees_exact,
        trades.gross_from,
        trades.protocol_bps,
        trades.resolver_bps,
        trades.lp_bps,
        trades.price_yes,
        {{ instant('trades.clock') }} as block_time,
        trades.seq as last_seq
    from trades
    inner join markets on trades.market_no = markets.market_no
    inner join wallets on trades.wallet_no = wallets.wallet_no
)

select * from final
