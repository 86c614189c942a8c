-- Every statement answers with the same columns: what it is true of (ops.as_of) and the finished body, in one snapshot.
-- Words in braces are parts written once in rows.sql. A null body means that there is no such thing. {bound} is a
-- constant that is at least limit + offset + 1: plans are made once for all parameters, and must know that few rows
-- are wanted.

-- name: market
-- One market by id or address, the whole row.
select {stated}, (
    select row_to_json(r) from (
        select {market_brief}, {market_full}, {as_of} as as_of
        from {from_markets}
        where m.is_known and m.market_no = {the_market}
    ) as r
)::text as body
from ops.as_of(array['markets']) as a

-- name: markets
-- A page of markets in one of the sort orders, with how many there are in all.
with page as materialized (
    select * from (
        select m.market_no as number, {sort_key} as sort_key
        from {from_markets}
        where m.is_known {filters} {beyond}
        order by sort_key {direction}, m.market_no {direction}
        limit {bound}
    ) as bounded
    limit %(limit)s + 1 offset %(offset)s
),
shown as materialized (
    select * from page order by sort_key {direction}, number {direction} limit %(limit)s
)
select {stated}, json_build_object(
    'markets', coalesce((
        select json_agg(row_to_json(r)) from (
            select {market_brief}
            from shown as p
            inner join marts.markets as m on p.number = m.market_no
            left join app.market_metadata as d on m.id = d.market_id
            order by p.sort_key {direction}, p.number {direction}
        ) as r
    ), '[]'),
    'count', (select count(*) from {from_markets} where m.is_known {filters}),
    'limit', %(limit)s::int,
    'offset', %(offset)s::int,
    'next_cursor', (
        select {cursor} from shown as p
        where (select count(*) from page) > %(limit)s
        order by p.sort_key {reverse}, p.number {reverse} limit 1
    ),
    'as_of', {as_of}
)::text as body
from ops.as_of(array['markets']) as a

-- name: trades
-- A page of trades, the latest on chain first.
with page as materialized (
    select * from (
        select t.*, t.seq as number, t.order_key as sort_key
        from marts.trades as t
        where {is_shown} {filters} {beyond}
        order by t.order_key desc, t.seq desc
        limit {bound}
    ) as bounded
    limit %(limit)s + 1 offset %(offset)s
),
shown as materialized (
    select * from page order by sort_key desc, number desc limit %(limit)s
)
select {stated}, case when {it_exists} then json_build_object(
    'trades', coalesce((
        select json_agg(row_to_json(r)) from (
            select {trade} from shown as t order by t.sort_key desc, t.number desc
        ) as r
    ), '[]'),
    'count', (select count(*) from shown),
    'limit', %(limit)s::int,
    'offset', %(offset)s::int,
    'next_cursor', (
        select {cursor} from shown as p
        where (select count(*) from page) > %(limit)s
        order by p.sort_key, p.number limit 1
    ),
    {named}
    'as_of', {as_of}
) end::text as body
from ops.as_of(array['trades', 'markets']) as a

-- name: market_votes
-- A page of a market's ballots of one kind, the latest first, with the tally of all of them.
select {stated}, (
    select json_build_object(
        'votes', coalesce((
            select json_agg(row_to_json(r)) from (
                select {vote}
                from marts.ballots as b
                where b.market_no = m.market_no and b.kind = %(kind)s
                order by b.cast_at desc, b.wallet_no
                limit %(limit)s offset %(offset)s
            ) as r
        ), '[]'),
        'stats', json_build_object(
            'likes', coalesce(y.agree, 0),
            'dislikes', coalesce(y.disagree, 0),
            'total', coalesce(y.total, 0),
            'approval_rate', round(coalesce(100.0 * y.agree / nullif(y.total, 0), 0), 2)::text,
            'on_chain', json_build_object(
                'likes', coalesce(y.on_chain_agree, 0), 'dislikes', coalesce(y.on_chain_disagree, 0)
            ),
            'off_chain_known', json_build_object(
                'likes', coalesce(y.off_chain_known_agree, 0), 'dislikes', coalesce(y.off_chain_known_disagree, 0)
            ),
            'off_chain_unseen', json_build_object(
                'likes', coalesce(y.off_chain_unseen_agree, 0), 'dislikes', coalesce(y.off_chain_unseen_disagree, 0)
            ),
            'voting_closes_at', y.voting_closes_at
        ),
        'limit', %(limit)s::int,
        'offset', %(offset)s::int,
        'market_id', m.id,
        'type', %(kind)s::text,
        'as_of', {as_of}
    )
    from marts.markets as m
    left join marts.vote_tallies as y on m.market_no = y.market_no and y.kind = %(kind)s
    where m.is_known and m.market_no = {the_market}
)::text as body
from ops.as_of(array['ballots', 'markets']) as a

-- name: market_stats
-- What a market's trades add up to.
select {stated}, (
    select json_build_object(
        'market_id', m.id,
        'stats', json_build_object(
            'total_volume', m.total_volume,
            'total_volume_exact', m.total_volume::text,
            'total_trades', m.trades_count,
            'unique_traders', s.unique_traders,
            'buy_volume', s.buy_volume,
            'buy_volume_exact', s.buy_volume::text,
            'sell_volume', s.sell_volume,
            'sell_volume_exact', s.sell_volume::text
        ),
        'as_of', {as_of}
    )
    from marts.markets as m
    -- A wallet that traded has a position, and what is not bought is sold: no trade needs to be read.
    cross join lateral (
        select
            count(*) filter (where p.trades_count > 0) as unique_traders,
            coalesce(sum(p.total_invested), 0) as buy_volume,
            m.total_volume - coalesce(sum(p.total_invested), 0) as sell_volume
        from marts.positions as p
        where p.market_no = m.market_no
    ) as s
    where m.is_known and m.market_no = {the_market}
)::text as body
from ops.as_of(array['positions', 'markets']) as a

-- name: positions
-- A wallet's positions, the latest traded first; the body is an array.
select {stated}, coalesce((
    select json_agg(row_to_json(r)) from (
        {the_positions}
        order by p.last_trade_at desc nulls last, p.market_no
        limit %(limit)s offset %(offset)s
    ) as r
), {nothing})::text as body
from ops.as_of(array['positions', 'markets']) as a

-- name: position
-- A wallet's position in one market.
select {stated}, (
    select row_to_json(r) from (
        select q.*, {as_of} as as_of from (
            {the_positions} and p.market_no = {the_market}
        ) as q
    ) as r
)::text as body
from ops.as_of(array['positions', 'markets']) as a

-- name: status
-- How the log and its marts are doing, and what is proven of their completeness.
select {stated}, (
    select json_build_object(
        'epoch', a.epoch,
        'seq', a.seq,
        'slot', a.slot,
        'commitment', a.commitment,
        'verified_through', c.verified_through,
        'finalized_through', f.finalized_through,
        'completeness', json_build_object(
            'state', coalesce(k.value ->> 'state', 'unverified'),
            'reason', coalesce(
                k.value ->> 'reason',
                'No walk of the chain''s history has proven yet that nothing is missing before this slot.'
            )
        ),
        'lag', json_build_object(
            'last_entry_at', l.at,
            'last_entry_age_seconds', round(extract(epoch from clock_timestamp() - l.at), 3),
            'last_event_at', to_timestamp(least(greatest(e.clock, 0), 253402300799)),
            'last_event_age_seconds', round(extract(epoch from clock_timestamp()) - e.clock, 3)
        ),
        'models', coalesce((
            select json_agg(row_to_json(s) order by s.name) from (
                select
                    m.name, m.kind, m.is_stale, m.applied_seq, m.behind, m.stale_since, m.failed_event, m.reason,
                    m.built_at
                from ops.model_status as m
            ) as s
        ), '[]'),
        'dead_letters', (select count(*) from raw.dead_letters as d where d.resolved_at is null),
        'wanted', (select count(*) from raw.wanted),
        'alerts', coalesce((
            select json_agg(row_to_json(s) order by s.last_at desc) from (
                select t.kind, t.subject, t.severity, t.message, t.occurrences, t.raised_at, t.last_at
                from ops.alerts as t where t.resolved_at is null
                order by t.last_at desc limit 20
            ) as s
        ), '[]'),
        'as_of', {as_of}
    )
    from (select raw.verified_through() as verified_through) as c
    cross join (select raw.finalized_through() as finalized_through) as f
    left join ops.cursors as k on k.name = 'completeness'
    left join (select o.at from raw.feed as o order by o.seq desc limit 1) as l on true
    left join (select v.clock from raw.events as v order by v.order_key desc limit 1) as e on true
)::text as body
from ops.as_of('{}') as a

-- name: readiness
-- The log's epoch and head, and which marts that the answers need are missing or stale.
select
    (select i.epoch::text from raw.identity as i) as epoch,
    coalesce((select max(f.seq) from raw.feed as f), 0) as seq,
    array(
        select n from unnest(array[
            'markets', 'trades', 'positions', 'ballots', 'vote_tallies', 'candles_1m', 'activity', 'holders', 'market_lifecycle',
            'protocol_config', 'portfolio'
        ]) as n
        where to_regclass('marts.' || n) is null
    ) as missing,
    array(select m.name from ops.models as m where m.stale_since is not null order by m.name) as stale

-- name: price_history
-- A market's price for a chart, in percent: even odds at its creation, then the newest trades, the latest last.
select {stated}, (
    select json_build_object(
        'market_id', m.id,
        'price_history', h.points,
        'count', json_array_length(h.points),
        'as_of', {as_of}
    )
    from marts.markets as m
    cross join lateral (
        select json_agg(
            json_build_object('timestamp', q.at, 'yes', q.yes, 'no', 100 - q.yes) order by q.place
        ) as points
        from (
            select m.created_at as at, 50::numeric as yes, -1::bigint as place
            union all
            (
                select n.at, greatest(1, least(99, round(n.new_price_yes / 10000000, 2))), n.order_key
                from (
                    select t.block_time as at, t.new_price_yes, t.order_key
                    from marts.trades as t
                    where t.market_no = m.market_no
                    order by t.order_key desc
                    limit {bound}
                ) as n
                order by n.order_key desc
                limit %(limit)s
            )
        ) as q
    ) as h
    where m.is_known and m.market_no = {the_market}
)::text as body
from ops.as_of(array['trades', 'markets']) as a

-- name: candles
-- A market's candles, the newest last. Each is put together from its minutes, found by their index, as the views
-- marts.candles_5m and wider do for all; one without a trade carries the close before it.
select {stated}, (
    select json_build_object(
        'market_id', m.id,
        'interval', %(interval)s::text,
        'candles', coalesce((
            select json_agg(json_build_object(
                'bucket_at', b.start_at,
                'open', coalesce(c.open, l.close)::text,
                'high', coalesce(c.high, l.close)::text,
                'low', coalesce(c.low, l.close)::text,
                'close', coalesce(c.close, l.close)::text,
                'open_price', round(coalesce(c.open, l.close) / 1000000000.0, 9),
                'high_price', round(coalesce(c.high, l.close) / 1000000000.0, 9),
                'low_price', round(coalesce(c.low, l.close) / 1000000000.0, 9),
                'close_price', round(coalesce(c.close, l.close) / 1000000000.0, 9),
                'volume', coalesce(c.volume, 0)::text,
                'buy_volume', coalesce(c.buy_volume, 0)::text,
                'shares_volume', coalesce(c.shares_volume, 0)::text,
                'trades_count', c.trades_count,
                'is_carried', c.trades_count = 0
            ) order by b.start_at)
            from ({buckets}) as b
            cross join lateral (
                select
                    (min(array[c.open_key, c.open]))[2] as open,
                    max(c.high) as high,
                    min(c.low) as low,
                    (max(array[c.close_key, c.close]))[2] as close,
                    sum(c.volume) as volume,
                    sum(c.buy_volume) as buy_volume,
                    sum(c.shares_volume) as shares_volume,
                    coalesce(sum(c.trades_count), 0)::bigint as trades_count
                from marts.candles_1m as c
                where c.market_no = m.market_no and c.bucket_at >= b.start_at and c.bucket_at < b.start_at + {width}
            ) as c
            left join lateral (
                select e.close from marts.candles_1m as e
                where c.trades_count = 0 and e.market_no = m.market_no and e.bucket_at < b.start_at
                order by e.bucket_at desc limit 1
            ) as l on true
        ), '[]'),
        'from', %(from_at)s::timestamptz,
        'to', %(to_at)s::timestamptz,
        'limit', %(limit)s::int,
        'as_of', {as_of}
    )
    from marts.markets as m
    cross join lateral (
        -- Gaps are filled up to the newest moment that the log knows of, whichever market it is from.
        select greatest(m.last_trade_at, to_timestamp((
            select least(e.clock, 253402300799) from raw.events as e
            where e.retracted_at is null order by e.order_key desc limit 1
        ))) as known_at, (
            select e.bucket_at from marts.candles_1m as e
            where e.market_no = m.market_no order by e.bucket_at limit 1
        ) as minute_at
    ) as k
    cross join lateral (
        select
            date_bin({width}, least(%(to_at)s::timestamptz - interval '1 microsecond', k.known_at), {origin}) as last_at,
            date_bin({width}, k.minute_at, {origin}) as first_at,
            -- The first candle that begins at or after `from`.
            date_bin(
                {width}, %(from_at)s::timestamptz + {width} - interval '1 microsecond', {origin}
            ) as from_at
    ) as w
    where m.is_known and m.market_no = {the_market}
)::text as body
from ops.as_of(array['candles_1m', 'markets']) as a

-- name: newest_activity
-- What happened lately anywhere, in the shape that the home page of the browser shows.
with page as materialized (
    select v.seq, v.order_key from ({kinds}) as n
    inner join raw.events as v on n.number = v.seq
    order by v.clock desc, v.order_key desc
    limit %(limit)s
)
select {stated}, json_build_object(
    'activities', coalesce((
        select json_agg(json_strip_nulls(json_build_object(
            'id', v.tx_signature || ':' || v.ordinal,
            'type', v.type,
            'user', coalesce(left(v.user_wallet, 6) || '...' || right(v.user_wallet, 4), 'protocol'),
            'action', v.action,
            'market', {question},
            'marketId', m.id,
            'time', v.block_time,
            'amount', round(v.amount / 1000000000, 2)::text || ' SOL'
        )) order by v.block_time desc, v.order_key desc)
        from page as p
        inner join marts.activity as v on p.seq = v.seq
        inner join marts.markets as m on v.market_no = m.market_no
        left join app.market_metadata as d on m.id = d.market_id
    ), '[]'),
    'count', (select count(*) from page),
    'as_of', {as_of}
)::text as body
from ops.as_of(array['trades', 'market_lifecycle', 'markets']) as a

-- name: activity
-- A page of what happened in a market or what a wallet did, the latest on chain first.
with page as materialized (
    select * from ({rows}) as bounded
    order by sort_key desc, number desc
    limit %(limit)s + 1
),
shown as materialized (
    select * from page order by sort_key desc, number desc limit %(limit)s
)
select {stated}, case when {it_exists} then json_build_object(
    'activity', coalesce((
        select json_agg(row_to_json(r)) from (
            select {activity}
            from shown as p
            inner join marts.activity as v on p.number = v.seq
            order by p.sort_key desc, p.number desc
        ) as r
    ), '[]'),
    'count', (select count(*) from shown),
    'limit', %(limit)s::int,
    'next_cursor', (
        select {cursor} from shown as p
        where (select count(*) from page) > %(limit)s
        order by p.sort_key, p.number limit 1
    ),
    {named}
    'as_of', {as_of}
) end::text as body
from ops.as_of(array['markets']) as a

-- name: holders
-- A page of a market's holders, the largest first.
with page as materialized (
    select q.*
    from marts.markets as m
    -- With its limit inside, the view is asked for this market alone.
    cross join lateral (
        select
            h.wallet_no as number, {sort_key} as sort_key, h.user_wallet, h.shares_yes, h.shares_no, h.total_invested,
            h.share_of_yes_bps, h.share_of_no_bps, h.last_seq
        from marts.holders as h
        where h.market_no = m.market_no and {sort_key} > 0 {beyond}
        order by {sort_key} desc, h.wallet_no desc
        limit {bound}
    ) as q
    where m.market_no = {the_market}
    order by q.sort_key desc, q.number desc
    limit %(limit)s + 1
),
shown as materialized (
    select * from page order by sort_key desc, number desc limit %(limit)s
)
select {stated}, case when {market_exists} then json_build_object(
    'holders', coalesce((
        select json_agg(json_build_object(
            'user_wallet', p.user_wallet,
            'shares_yes', p.shares_yes::text,
            'shares_no', p.shares_no::text,
            'total_invested', p.total_invested::text,
            'share_of_yes_bps', coalesce(p.share_of_yes_bps, 0),
            'share_of_no_bps', coalesce(p.share_of_no_bps, 0),
            'last_seq', p.last_seq
        ) order by p.sort_key desc, p.number desc)
        from shown as p
    ), '[]'),
    'count', (select count(*) from shown),
    'limit', %(limit)s::int,
    'next_cursor', (
        select {cursor} from shown as p
        where (select count(*) from page) > %(limit)s
        order by p.sort_key, p.number limit 1
    ),
    {named_market}
    'as_of', {as_of}
) end::text as body
from ops.as_of(array['positions', 'markets']) as a

-- name: lifecycle
-- How a market came to where it stands, the newest of it in the order of the chain, and which deadline is next.
select {stated}, (
    select json_build_object(
        'market_id', m.id,
        'state', m.state,
        'outcome', m.outcome,
        'timeline', coalesce((
            select json_agg(json_build_object(
                'event', c.event,
                'to_state', c.to_state,
                'user_wallet', c.actor_wallet,
                'tx_signature', c.tx_signature,
                'slot', c.order_key >> 24,
                'seq', c.seq,
                'block_time', c.block_time
            ) order by c.order_key)
            from (
                select c.* from marts.market_lifecycle as c
                where c.market_no = m.market_no
                order by c.order_key desc limit %(limit)s
            ) as c
        ), '[]'),
        'dispute_period_seconds', s.dispute_period::text,
        'voting_window_seconds', s.voting_window::text,
        'dispute_closes_at', w.dispute_closes_at,
        'voting_closes_at', w.voting_closes_at,
        'next_deadline', case
            when w.voting_closes_at is not null
                then json_build_object('name', 'voting_closes_at', 'at', w.voting_closes_at)
            when w.dispute_closes_at is not null
                then json_build_object('name', 'dispute_closes_at', 'at', w.dispute_closes_at)
        end,
        'as_of', {as_of}
    )
    from marts.markets as m
    cross join (
        select
            {dispute_period_seconds} as dispute_period,
            (select o.value from ops.settings as o where o.name = 'dispute_voting_window_seconds') as voting_window
    ) as s
    cross join lateral (
        select
            case when m.state in ('RESOLVING', 'DISPUTED') then {dispute_end} end as dispute_closes_at,
            case when m.state = 'DISPUTED' then {voting_end} end as voting_closes_at
    ) as w
    where m.is_known and m.market_no = {the_market}
)::text as body
from ops.as_of(array['market_lifecycle', 'markets', 'protocol_config']) as a

-- name: protocol
-- The program's configuration as of now, and which event said each part of it.
select {stated}, (
    select jsonb_object_agg(f.name, coalesce(s.value, f.initial)) || jsonb_build_object(
        'said_by', jsonb_object_agg(f.name, case when s.value is not null then jsonb_build_object(
            'event', s.event, 'tx_signature', s.tx_signature, 'slot', s.slot, 'seq', s.seq, 'block_time', s.block_time
        ) end),
        'as_of', {as_of}
    )
    from {config_in_force}
)::text as body
from ops.as_of(array['protocol_config']) as a

-- name: portfolio
-- What a wallet's positions are worth and have made, the latest traded first, with the sums over all of them.
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
                order by h.last_trade_at desc nulls last, h.market_no
                limit %(limit)s offset %(offset)s
            ) as p
            inner join marts.markets as m on p.market_no = m.market_no
            left join app.market_metadata as d on m.id = d.market_id
            order by p.last_trade_at desc nulls last, p.market_no
        ) as r
    ), '[]'),
    'count', (select count(*) from held),
    'limit', %(limit)s::int,
    'offset', %(offset)s::int,
    'as_of', {as_of}
)::text as body
from ops.as_of(array['positions', 'position_costs', 'markets']) as a
