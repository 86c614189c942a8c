-- User positions, and the results of wallets.

-- name: positions
-- A wallet's positions, the latest traded first; the body is an array.
select {stated}, coalesce((
    select json_agg(row_to_json(r)) from (
        {the_positions}
        order by p.last_trade_at desc nulls last, p.market_no asc
        limit %(limit)s offset %(offset)s
    ) as r
), {nothing}) as body
from ops.as_of(array['positions', 'position_costs', 'markets']) as a;

-- name: position
-- A wallet's position in one market.
select {stated}, (
    select row_to_json(r) from (
        select q.*, {as_of} as as_of from (
            {the_positions} and p.market_no = {the_market}
        ) as q
    ) as r
) as body
from ops.as_of(array['positions', 'position_costs', 'markets']) as a;

-- name: portfolio
-- The value and the profit of a wallet's positions, the latest traded first, with the totals of all of them.
with held as materialized (
    select p.*
    from marts.portfolio as p
    where p.wallet_no = {the_wallet}
        and (select m.is_known from marts.markets as m where m.market_no = p.market_no)
)
select {stated}, json_build_object(
    'wallet', %(wallet)s::text,
    'totals', (
        select json_build_object(
            'total_invested', coalesce(sum(p.total_invested), 0)::text,
            'total_proceeds', coalesce(sum(p.total_proceeds), 0)::text,
            'claimed_amount', coalesce(sum(p.claimed_amount), 0)::text,
            'claimable', coalesce(sum(p.claimable), 0)::text,
            'current_value', coalesce(sum(p.current_value), 0)::text,
            'realized_pnl', coalesce(sum(p.realized_pnl), 0)::text,
            'unrealized_pnl', coalesce(sum(p.unrealized_pnl), 0)::text,
            'profit', coalesce(sum(p.profit), 0)::text
        )
        from held as p
    ),
    'positions', coalesce((
        select json_agg(row_to_json(r)) from (
            select {portfolio_row}
            from (
                select h.* from held as h
                order by h.last_trade_at desc nulls last, h.market_no asc
                limit %(limit)s offset %(offset)s
            ) as p
            inner join marts.markets as m on p.market_no = m.market_no
            {creator_metadata}
            order by p.last_trade_at desc nulls last, p.market_no asc
        ) as r
    ), '[]'),
    'count', (select count(*) from held),
    'limit', %(limit)s::int,
    'offset', %(offset)s::int,
    'as_of', {as_of}
) as body
from ops.as_of(array['positions', 'position_costs', 'markets']) as a;

-- name: wallet
-- A wallet's activity in counts; zeros for an unknown one.
select {stated}, json_build_object(
    'wallet', %(wallet)s::text,
    'stats', json_build_object(
        'total_trades', (
            select coalesce(sum(p.trades_count), 0) from marts.positions as p where p.wallet_no = {the_wallet}
        ),
        'total_votes', b.proposals + b.disputes,
        'proposal_votes', b.proposals,
        'dispute_votes', b.disputes,
        'discussions', (
            select count(*) from app.comments as c where c.wallet_no = {the_wallet} and c.deleted_at is null
        )
    ),
    'as_of', {as_of}
) as body
from ops.as_of(array['positions', 'ballots']) as a
cross join lateral (
    select
        count(*) filter (where b.kind = 'proposal') as proposals,
        count(*) filter (where b.kind = 'dispute') as disputes
    from marts.ballots as b where b.wallet_no = {the_wallet}
) as b;

-- name: wallet_votes
-- A wallet's ballots by kind, the latest first.
select {stated}, json_build_object(
    'proposal_votes', coalesce((
        select json_agg(row_to_json(r)) from (
            select {vote} from marts.ballots as b
            where b.wallet_no = {the_wallet} and b.kind = 'proposal' and %(kind)s in ('all', 'proposal')
            order by b.cast_at desc, b.market_no asc limit %(limit)s offset %(offset)s
        ) as r
    ), '[]'),
    'dispute_votes', coalesce((
        select json_agg(row_to_json(r)) from (
            select {vote} from marts.ballots as b
            where b.wallet_no = {the_wallet} and b.kind = 'dispute' and %(kind)s in ('all', 'dispute')
            order by b.cast_at desc, b.market_no asc limit %(limit)s offset %(offset)s
        ) as r
    ), '[]'),
    'total', (
        select count(*) from marts.ballots as b
        where b.wallet_no = {the_wallet} and %(kind)s in ('all', b.kind)
    ),
    'limit', %(limit)s::int,
    'offset', %(offset)s::int,
    'wallet', %(wallet)s::text,
    'as_of', {as_of}
) as body
from ops.as_of(array['ballots', 'markets']) as a;

-- name: wallet_stats
-- The results of a wallet's trading, by the definitions of marts.portfolio.
select {stated}, (
    select json_build_object(
        'wallet', %(wallet)s::text,
        'totalTrades', coalesce(sum(p.trades_count), 0),
        'totalVolume', coalesce(sum(p.total_invested + p.total_proceeds), 0),
        'total_volume_exact', coalesce(sum(p.total_invested + p.total_proceeds), 0)::text,
        'winRate', coalesce(round(
            count(*) filter (where p.outcome in ('YES', 'NO') and p.trades_count > 0 and p.profit > 0)::numeric
            / nullif(count(*) filter (where p.outcome in ('YES', 'NO') and p.trades_count > 0), 0), 4
        ), 0),
        'totalPnL', coalesce(sum(p.profit), 0),
        'total_pnl_exact', coalesce(sum(p.profit), 0)::text,
        'activePositions', count(*) filter (
            where p.state not in ('FINALIZED', 'CANCELLED') and p.shares_yes + p.shares_no > 0
        ),
        'settledPositions', count(*) filter (where p.outcome in ('YES', 'NO') and p.trades_count > 0),
        'as_of', {as_of}
    )
    from marts.portfolio as p
    where
        p.wallet_no = {the_wallet}
        and (select m.is_known from marts.markets as m where m.market_no = p.market_no)
) as body
from ops.as_of(array['positions', 'position_costs', 'markets']) as a;

-- name: rest_user
-- What is known of a wallet, as rows of the earlier table of users (protocol.md 9.1): one, or none.
select {stated}, coalesce((
    select json_build_array(json_build_object(
        'wallet', w.wallet,
        'wallet_address', w.wallet,
        'created_at', coalesce(u.created_at, p.first_trade_at),
        'last_seen_at', coalesce(u.last_seen_at, p.last_trade_at),
        'updated_at', coalesce(greatest(u.updated_at, u.last_seen_at), p.last_trade_at),
        'twitter_handle', null,
        'twitter_verified', false,
        'avatar_url', u.avatar_url,
        'bio', u.bio,
        'reputation_score', null,
        'total_trades', coalesce(p.trades, 0),
        'total_volume', coalesce(p.volume, 0)
    ))
    from raw.wallets_seen as w
    left join app.wallets as u on w.wallet_no = u.wallet_no
    cross join lateral (
        select
            min(p.first_trade_at) as first_trade_at, max(p.last_trade_at) as last_trade_at,
            sum(p.trades_count) as trades, sum(p.total_invested + p.total_proceeds) as volume
        from marts.positions as p
        where p.wallet_no = w.wallet_no
    ) as p
    where w.wallet = %(wallet)s
), '[]') as body
from ops.as_of(array['positions']) as a;

-- name: rest_user_count
-- The number of wallets, as the aggregate that the earlier frontend reads. Their numbers have no gap.
select {stated}, json_build_array(json_build_object(
    'count', (select coalesce(max(w.wallet_no), 0) from raw.wallets_seen as w)
)) as body
from ops.as_of(array['markets']) as a;

-- name: profile
-- A wallet's public profile; empty for one that has none.
select {stated}, json_build_object(
    'wallet', %(wallet)s::text,
    'display_name', u.display_name,
    'bio', u.bio,
    'updated_at', case when u.display_name is not null or u.bio is not null then u.updated_at end,
    'is_banned', exists (select from app.bans as b where b.wallet_no = {the_wallet}),
    'as_of', {as_of}
) as body
from ops.as_of('{}') as a
left join app.wallets as u on u.wallet_no = {the_wallet};

-- name: set_profile
-- Replace the profile of the signed-in wallet; returns the seq of the log entry.
select app.set_profile(%(display_name)s, %(bio)s);

-- name: record_visit
-- Record that the signed-in wallet is here now.
select app.record_visit();
