{{ config(
    fold_key=['seq'],
    fold_scope=['seq'],
    indexes=['market_no, order_key', 'event, order_key'],
) }}

select
    log.seq,
    log.market_no,
    markets.market_id,
    log.name as event,
    {{ state_after('log.name', 'log.payload') }} as to_state,
    wallets.wallet as actor_wallet,
    log.order_key,
    log.signature as tx_signature,
    {{ instant('log.clock') }} as block_time,
    log.seq as last_seq
from {{ log_events([
    'MarketCreated', 'ProposalAggregated', 'ProposalApproved', 'MarketActivated', 'MarketResolved', 'DisputeInitiated',
    'DisputeAggregated', 'MarketFinalized', 'MarketCancelled', 'LiquidityWithdrawn',
], signatures=true) }} as log
inner join {{ source('raw', 'markets_seen') }} as markets on log.market_no = markets.market_no
left join {{ source('raw', 'wallets_seen') }} as wallets on log.wallet_no = wallets.wallet_no
