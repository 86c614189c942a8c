{{ config(
    fold_key=['market_no', 'bucket_at'],
    fold_scope=['market_no'],
    fee_sensitive=true,
) }}

with split_trades as (
    select * from {{ ref('stg_trades') }}
),

markets as (
    select * from {{ source('raw', 'markets_seen') }}
),

trades as (
    select
        market_no,
        {{ instant('clock - clock % 60') }} as bucket_at,
        order_key,
        price_yes,
        is_buy,
        case when is_buy then cost else gross end as lamports,
        shares,
        seq
    from split_trades
),

folded as (
    select
        market_no,
        bucket_at,
        min(order_key) as open_key,
        {{ first_by('price_yes', 'order_key') }} as open,
        max(price_yes) as high,
        min(price_yes) as low,
        max(order_key) as close_key,
        {{ last_by('price_yes', 'order_key', 'true') }} as close,
        sum(lamports) as volume,
        coalesce(sum(lamports) filter (where is_buy), 0) as buy_volume,
        sum(shares) as shares_volume,
        count(*) as trades_count,
        max(seq) as last_seq
    from trades
    group by market_no, bucket_at
),

final as (
    select
        folded.market_no,
        folded.bucket_at,
        markets.market_id,
        folded.open_key,
        folded.open,
        folded.high,
        folded.low,
        folded.close_key,
        folded.close,
        folded.volume::numeric(39, 0) as volume,
        folded.buy_volume::numeric(39, 0) as buy_volume,
        folded.shares_volume::numeric(39, 0) as shares_volume,
        folded.trades_count,
        folded.last_seq
    from folded
    inner join markets on folded.market_no = markets.market_no
)

select * from final
