{#
    Trades with their texts. One text, used by the view over all trades and by the function that returns those up to a slot.

    The joins are left joins on primary keys, so that Postgres leaves out those whose columns a query does not read.
#}

{% macro trades_with_texts(trades, markets, wallets, transactions) -%}
select
    trades.seq,
    trades.market_no,
    trades.wallet_no,
    markets.market_id,
    wallets.wallet as user_wallet,
    transactions.signature as tx_signature,
    (trades.order_key & 511)::int as ordinal,
    trades.order_key,
    trades.order_key >> 24 as slot,
    case when trades.is_buy then 'buy' else 'sell' end as trade_type,
    case when trades.is_yes then 'YES' else 'NO' end as outcome,
    trades.shares,
    trades.cost,
    trades.gross,
    trades.protocol_fee,
    trades.resolver_fee,
    (abs(trades.cost - trades.gross) - trades.protocol_fee - trades.resolver_fee)::numeric(39, 0) as lp_fee,
    trades.gross_from not in ('estimated', 'provisional') as fees_exact,
    trades.gross_from,
    trades.protocol_bps,
    trades.resolver_bps,
    trades.lp_bps,
    trades.price_yes,
    trades.block_time,
    trades.seq as last_seq
from {{ trades }} as trades
left join {{ markets }} as markets on trades.market_no = markets.market_no
left join {{ wallets }} as wallets on trades.wallet_no = wallets.wallet_no
left join {{ transactions }} as transactions on trades.transaction_no = transactions.transaction_no
{%- endmacro %}

{% macro write_trades_as_of() -%}
{%- if not is_trial() -%}
select folds.write_as_of('{{ this.identifier }}', $as_of_text${{ trades_with_texts(
    'marts.priced_trades_as_of(p_slot, p_market_no)', 'raw.markets_seen', 'raw.wallets_seen', 'raw.transactions'
) }}$as_of_text$)
{%- endif -%}
{%- endmacro %}
