{{ config(post_hook="{{ write_trades_as_of() }}") }}

{{ trades_with_texts(
    ref('priced_trades'), source('raw', 'markets_seen'), source('raw', 'wallets_seen'), source('raw', 'transactions')
) }}
