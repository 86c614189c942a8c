{{ config(
    materialized='ordered',
    fold_key=['market_no', 'wallet_no'],
    fold_scope=['market_no', 'wallet_no'],
    aggregate='folds.average_cost',
    arguments=['is_buy', 'is_yes', 'shares', 'lamports'],
) }}

select
    market_no,
    wallet_no,
    order_key,
    seq,
    name = 'SharesBought' as is_buy,
    (payload ->> 'outcome')::boolean as is_yes,
    (payload ->> 'shares')::numeric as shares,
    coalesce(payload ->> 'cost', payload ->> 'proceeds')::numeric as lamports
from {{ log_events(['SharesBought', 'SharesSold']) }} as events
