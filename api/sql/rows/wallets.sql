-- name: position
-- One position p in market m with its metadata d, as marts.portfolio v values it.
p.market_id,
p.market_id as "marketId",
m.on_chain_address as market_address,
m.on_chain_address as market_pubkey,
p.user_wallet,
p.user_wallet as user_pubkey,
p.user_wallet as "userId",
p.shares_yes,
p.shares_yes::text as shares_yes_exact,
p.shares_yes as "sharesYes",
p.shares_no,
p.shares_no::text as shares_no_exact,
p.shares_no as "sharesNo",
p.total_invested,
p.total_invested::text as total_invested_exact,
p.total_invested as invested,
p.total_invested as "totalCost",
p.total_proceeds,
p.total_proceeds::text as total_proceeds_exact,
v.current_value,
v.current_value::text as current_value_exact,
v.claimable as claimable_amount,
v.claimable::text as claimable_amount_exact,
v.unrealized_pnl,
v.unrealized_pnl as "unrealizedPnL",
v.unrealized_pnl::text as unrealized_pnl_exact,
v.realized_pnl,
v.realized_pnl as "realizedPnL",
v.realized_pnl::text as realized_pnl_exact,
p.trades_count,
p.has_claimed,
p.claimed_amount,
p.claimed_amount::text as claimed_amount_exact,
p.first_trade_at,
p.last_trade_at,
p.claimed_at,
(select f.at from raw.feed as f where f.seq = p.last_seq) as updated_at,
{question} as question,
coalesce(d.category, 'other') as category,
-- The earlier frontend looks the name up by the number (protocol.md 5.3).
m.state_code as state,
m.state as state_name,
m.state_code,
m.outcome,
m.price_yes * 0.000000001 as current_price_yes,
1 - m.price_yes * 0.000000001 as current_price_no,
greatest(p.last_seq, m.last_seq) as last_seq

-- name: the_wallet
-- The number of a wallet, if the log contains it.
(select w.wallet_no from raw.wallets_seen as w where w.wallet = %(wallet)s)

-- name: named_wallet
-- The wallet of a list of one wallet's trades.
'wallet', %(wallet)s::text,

-- name: the_positions
-- A wallet's positions p in markets m that are shown; more conditions may follow.
select {position}
from marts.positions as p
inner join marts.markets as m on p.market_no = m.market_no
{creator_metadata}
inner join marts.portfolio as v on p.market_no = v.market_no and p.wallet_no = v.wallet_no
where m.is_known and p.wallet_no = {the_wallet}

-- name: portfolio_row
-- One position p of a portfolio in market m with its metadata d; every amount is text.
p.market_id,
p.on_chain_address as market_address,
{question} as question,
p.state,
p.outcome,
p.shares_yes::text as shares_yes,
p.shares_no::text as shares_no,
p.cost_yes::text as cost_yes,
p.cost_no::text as cost_no,
p.total_invested::text as total_invested,
p.total_proceeds::text as total_proceeds,
p.trades_count,
p.has_claimed,
p.claimed_amount::text as claimed_amount,
p.claimable::text as claimable,
p.is_pool_withdrawn,
p.current_value::text as current_value,
p.realized_pnl::text as realized_pnl,
p.unrealized_pnl::text as unrealized_pnl,
p.profit::text as profit,
p.first_trade_at,
p.last_trade_at,
p.last_seq
