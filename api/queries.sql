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
        select t.seq as number, t.order_key as sort_key
        from marts.trades as t
        -- A subquery, not a join: rows come in index order and only as many as are shown are looked at.
        where (select m.is_known from marts.markets as m where m.market_no = t.market_no) {filters} {beyond}
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
            select {trade}
            from shown as p
            inner join marts.trades as t on p.number = t.seq
            order by p.sort_key desc, p.number desc
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
        'completeness', case when c.verified_through is null then json_build_object(
            'state', 'unverified',
            'reason', 'No walk of the chain''s history has proven yet that nothing is missing before this slot.'
        ) else json_build_object(
            'state', case when c.verified_through >= a.slot then 'verified' else 'behind' end,
            'reason', 'Proven complete through slot ' || c.verified_through || '.'
        ) end,
        'lag', json_build_object(
            'last_entry_at', l.at,
            'last_entry_age_seconds', round(extract(epoch from clock_timestamp() - l.at), 3),
            'last_event_at', to_timestamp(e.clock),
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
    from (select max(r.to_slot) as verified_through from raw.coverage as r) as c
    cross join (
        select max(w.ref) as finalized_through from raw.feed as w where w.kind = 'finalized_through'
    ) as f
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
        select n from unnest(array['markets', 'trades', 'positions', 'ballots', 'vote_tallies']) as n
        where to_regclass('marts.' || n) is null
    ) as missing,
    array(select m.name from ops.models as m where m.stale_since is not null order by m.name) as stale
