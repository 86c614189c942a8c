-- Scheduled marts: ranks and histories, some minutes old; as_of has their seq.

-- name: leaderboard
-- A page of wallets by one of four ranks within a period.
with page as materialized (
    select l.*, l.{rank} as place
    from marts.leaderboard as l
    where l.period = %(period)s and l.{rank} is not null
    order by l.{rank}, l.user_wallet
    limit %(limit)s offset %(offset)s
)
select {stated}, json_build_object(
    'leaderboard', coalesce((
        select json_agg(json_build_object(
            'rank', l.place,
            'user_wallet', l.user_wallet,
            'profit', l.profit::text,
            'volume', l.volume::text,
            'trades_count', l.trades_count,
            'markets_count', l.markets_count,
            'decided_count', l.decided_count,
            'won_count', l.won_count,
            'win_rate_bps', l.win_rate_bps,
            'last_seq', l.last_seq
        ) order by l.place, l.user_wallet)
        from page as l
    ), '[]'),
    'count', (select count(*) from page),
    'period', %(period)s::text,
    'by', %(by)s::text,
    'limit', %(limit)s::int,
    'offset', %(offset)s::int,
    'as_of', {as_of}
) as body
from ops.as_of(array['leaderboard']) as a

-- name: pnl_history
-- A wallet's profit by day in UTC, the newest days of the window, the latest last.
select {stated}, json_build_object(
    'wallet', %(wallet)s::text,
    'days', coalesce((
        select json_agg(json_build_object(
            'day', h.day,
            'trades_count', h.trades_count,
            'volume', h.volume::text,
            'invested', h.invested::text,
            'proceeds', h.proceeds::text,
            'claimed', h.claimed::text,
            'realized_pnl', h.realized_pnl::text,
            'cumulative_realized_pnl', h.cumulative_realized_pnl::text,
            'last_seq', h.last_seq
        ) order by h.day)
        from (
            select * from marts.pnl_history as h
            where h.wallet_no = {the_wallet}
            order by h.day desc limit %(limit)s
        ) as h
    ), '[]'),
    'limit', %(limit)s::int,
    'as_of', {as_of}
) as body
from ops.as_of(array['pnl_history']) as a

-- name: platform
-- Totals of the whole platform, a row for each period.
select {stated}, json_build_object(
    'periods', coalesce((
        select json_agg(json_build_object(
            'period', p.period,
            'from_at', case when isfinite(p.from_at) then p.from_at end,
            'to_at', p.to_at,
            'trades_count', p.trades_count,
            'volume', p.volume::text,
            'buy_volume', p.buy_volume::text,
            'sell_volume', p.sell_volume::text,
            'traders_count', p.traders_count,
            'new_wallets_count', p.new_wallets_count,
            'markets_created', p.markets_created,
            'markets_finalized', p.markets_finalized,
            'disputes_count', p.disputes_count,
            'ballots_count', p.ballots_count,
            'claims_paid', p.claims_paid::text,
            'protocol_fees', p.protocol_fees::text,
            'resolver_fees', p.resolver_fees::text,
            'lp_fees', p.lp_fees::text,
            'markets_count', p.markets_count,
            'active_markets_count', p.active_markets_count,
            'open_interest_shares', p.open_interest_shares::text
        ) order by p.from_at desc)
        from marts.platform_stats as p
    ), '[]'),
    'as_of', {as_of}
) as body
from ops.as_of(array['platform_stats']) as a
