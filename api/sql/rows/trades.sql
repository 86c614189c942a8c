-- name: trade
-- One trade t as the text of a JSON object. outcome is the word the browser compares with; price is that outcome's price
-- after the trade. row_to_json would look up how each value is written, for every value of every row; a page has 1,350.
-- So this is for columns whose text needs no escape: numbers, base58, hexadecimal, our own words; only market_id may be null.
concat(
    '{"id":"', t.tx_signature, ':', t.ordinal,
    '","market_id":', coalesce('"' || t.market_id || '"', 'null'),
    ',"marketId":', coalesce('"' || t.market_id || '"', 'null'),
    ',"market_pubkey":"', (select s.account from raw.markets_seen as s where s.market_no = t.market_no),
    '","user_wallet":"', t.user_wallet,
    '","trader":"', t.user_wallet,
    '","trader_pubkey":"', t.user_wallet,
    '","trade_type":"', t.trade_type,
    '","outcome":"', t.outcome,
    '","outcome_bool":', (t.outcome = 'YES')::text,
    ',"shares":', t.shares_text,
    ',"shares_exact":"', t.shares_text,
    '","cost":', t.cost_text,
    ',"cost_exact":"', t.cost_text,
    '","gross_lamports":"', t.gross,
    '","protocol_fee_lamports":"', t.protocol_fee,
    '","resolver_fee_lamports":"', t.resolver_fee,
    '","lp_fee_lamports":"', t.lp_fee,
    '","are_fees_exact":', t.fees_exact::text,
    ',"price_after":', t.price,
    ',"price":', case t.outcome when 'YES' then t.price else 1 - t.price end,
    ',"new_price_yes":', t.price_yes,
    ',"tx_signature":"', t.tx_signature,
    '","ordinal":', t.ordinal,
    ',"slot":', t.slot,
    ',"seq":', t.seq,
    ',"block_time":', t.at,
    ',"created_at":', t.at,
    ',"timestamp":', t.at,
    '}'
)

-- name: trade_values
-- The values of view v for the text of a trade. A text has some of them more than once, and each is formatted once here.
-- That saves a tenth of the time of a page, if the planner does not merge the query into the outer one.
v.*,
v.shares::text as shares_text,
v.cost::text as cost_text,
v.price_yes * 0.000000001 as price,
to_json(v.block_time)::text as at

-- name: trades_shown
-- The rows of the page of trades in `shown`, as one text with a line for each, in the order of the page.
(
    select string_agg({trade}, E',\n' order by t.order_key desc, t.seq desc)
    from (
        select {trade_values} from shown as s inner join marts.trades as v on s.number = v.seq offset 0
    ) as t
)

-- name: trade_version
-- The version of trade t: everything that its text depends on.
concat_ws(':', t.seq, t.tableoid, t.xmin)

-- name: where_market
-- Trades of one market.
and t.market_no = {the_market}

-- name: where_wallet
-- Trades of one wallet.
and t.wallet_no = {the_wallet}

-- name: of_a_shown_market
-- Whether a trade's market is shown. A subquery, not a join: rows come in index order, and only the shown ones are looked up.
(select m.is_known from marts.markets as m where m.market_no = t.market_no)

-- name: where_trade_before
-- Trades after a cursor.
and (t.order_key, t.seq) < (%(cursor_key)s::bigint, %(cursor_no)s::bigint)
