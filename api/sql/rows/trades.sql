-- name: trade
-- One trade t. outcome is the word the browser compares with; price is that outcome's price after the trade.
t.tx_signature || ':' || t.ordinal as id,
t.market_id,
t.market_id as "marketId",
t.user_wallet,
t.user_wallet as trader,
t.trade_type,
case when t.outcome then 'YES' else 'NO' end as outcome,
t.outcome as outcome_bool,
t.shares,
t.shares::text as shares_exact,
t.cost,
t.cost::text as cost_exact,
t.gross::text as gross_lamports,
t.protocol_fee::text as protocol_fee_lamports,
t.resolver_fee::text as resolver_fee_lamports,
t.lp_fee::text as lp_fee_lamports,
t.fees_exact as are_fees_exact,
t.price_after,
case when t.outcome then t.price_after else 1 - t.price_after end as price,
t.new_price_yes,
t.tx_signature,
t.ordinal,
t.slot,
t.seq,
t.block_time,
t.block_time as created_at,
t.block_time as "timestamp"

-- name: where_market
-- Trades of one market.
and t.market_no = {the_market}

-- name: where_wallet
-- Trades of one wallet.
and t.wallet_no = {the_wallet}

-- name: of_a_shown_market
-- Whether a trade's market is shown. A subquery, not a join: rows come in index order, and only those shown are looked at.
(select m.is_known from marts.markets as m where m.market_no = t.market_no)

-- name: where_trade_before
-- Trades that stand below a cursor.
and (t.order_key, t.seq) < (%(cursor_key)s::bigint, %(cursor_no)s::bigint)
