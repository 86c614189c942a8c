-- What the log says of each trade and what follows from it, by numbers: marts.trades adds texts. The widest mart of all, so each
-- column that another column or table implies is left to the view, and the columns are ordered by their alignment.
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

final as (
    select
        seq,
        order_key,
        transaction_no,
        {{ instant('clock') }} as block_time,
        price_yes,
        market_no,
        wallet_no,
        protocol_bps,
        resolver_bps,
        lp_bps,
        is_buy,
        is_yes,
        gross_from,
        shares::numeric(39, 0) as shares,
        cost::numeric(39, 0) as cost,
        gross::numeric(39, 0) as gross,
        protocol_fee::numeric(39, 0) as protocol_fee,
        resolver_fee::numeric(39, 0) as resolver_fee
    from trades
    where market_no is not null and wallet_no is not null
)

select * from final
