-- Turns feed entries into messages for clients, one window at a time.
--
-- Messages of the log (state_key null) are built from the log alone: a window that is read again gives the same messages. They
-- are never dropped. Messages of state have the current state of a subject; a newer one with the same key replaces it. They
-- belong to the newest entry of their market in the window, and are omitted if the row already reflects entries
-- beyond the window, because a later window contains them then.

-- name: head
-- The epoch of the log, its end, and the mark of that position.
select i.epoch::text, h.seq, raw.mark_of(h.seq)
from raw.identity as i
cross join (select coalesce(max(f.seq), 0) as seq from raw.feed as f) as h;

-- name: window
-- The entries after a seq, each with its messages for these topics; at least one row, and one per entry.
with entries as materialized (
    select
        f.seq, f.kind, f.ref, f.market_no, f.wallet_no, f.at,
        (
            select encode(substr(c.value, 1, 8), 'hex') from raw.commits as c
            where c.last_seq >= f.seq order by c.last_seq limit 1
        ) as mark
    from raw.feed as f
    where f.seq > %(after)s
    order by f.seq
    limit {window_entries}
),
reach as materialized (
    select
        i.epoch::text as epoch,
        coalesce((select max(h.seq) from raw.feed as h), 0) as head,
        coalesce((select max(e.seq) from entries as e), %(after)s::bigint) as seq
    from raw.identity as i
),
events as materialized (
    select
        e.seq, e.kind, v.name, v.order_key, v.ordinal, x.signature, v.clock, v.payload, v.market_no, v.wallet_no,
        s.market_id, s.account, w.wallet, v.seq as event_seq
    from entries as e
    inner join raw.events as v on v.seq = case when e.kind = 'event' then e.seq else e.ref end
    left join raw.transactions as x on v.transaction_no = x.transaction_no
    left join raw.markets_seen as s on v.market_no = s.market_no
    left join raw.wallets_seen as w on v.wallet_no = w.wallet_no
    where e.kind in ('event', 'retracted', 'moved')
),
trades as (
    select
        e.*,
        to_timestamp(least(greatest(e.clock, 0), 253402300799)) as at,
        case e.name when 'SharesBought' then 'buy' else 'sell' end as trade_type,
        (e.payload ->> 'outcome')::boolean as is_yes,
        (e.payload ->> 'shares')::numeric as shares,
        coalesce(e.payload ->> 'cost', e.payload ->> 'proceeds')::numeric as cost,
        (e.payload ->> 'new_price_yes')::numeric as price_yes
    from events as e
    where e.kind = 'event' and e.name in ('SharesBought', 'SharesSold')
),
touched as materialized (
    select
        e.market_no,
        max(e.seq) as seq,
        coalesce(bool_or(v.name = 'MarketCreated' and v.kind = 'event'), false) as is_new,
        coalesce(bool_or(v.name in ('SharesBought', 'SharesSold', 'MarketCreated')), false) as is_repriced,
        bool_or(e.kind = 'ballot' or coalesce(v.name in ('ProposalVoteSubmitted', 'DisputeVoteSubmitted'), false)) as is_voted
    from entries as e
    left join events as v on e.seq = v.seq
    where e.market_no is not null
    group by e.market_no
),
states as materialized (
    select
        t.seq, t.is_new, t.is_repriced, t.is_voted, m.market_no, m.id, m.state, m.state_code, m.outcome,
        m.price_yes, m.shares_yes, m.shares_no,
        m.shares_yes + m.shares_no as total_shares, m.total_volume, m.trades_count, m.last_trade_at, m.last_seq
    from touched as t
    inner join marts.markets as m on t.market_no = m.market_no
    cross join reach as r
    where
        m.is_known and m.last_seq <= r.seq
        and not exists (select from ops.models as o where o.name = 'markets' and o.applied_seq is not null)
),
held as materialized (
    select v.market_no, v.wallet_no, max(v.seq) as seq
    from events as v
    where v.name in ('SharesBought', 'SharesSold', 'WinningsClaimed') and v.wallet_no is not null
    group by v.market_no, v.wallet_no
),
messages as not materialized (
    select
        t.seq,
        y.type,
        t.market_id,
        t.at,
        y.topics,
        null::text as state_key,
        json_build_object(
            'id', t.signature || ':' || t.ordinal,
            'tradeId', t.signature || ':' || t.ordinal,
            'market_id', t.market_id,
            'marketId', t.market_id,
            'trade_type', t.trade_type,
            'outcome', case when t.is_yes then 'YES' else 'NO' end,
            'outcome_bool', t.is_yes,
            'shares', t.shares,
            'shares_exact', t.shares::text,
            'cost', t.cost,
            'cost_exact', t.cost::text,
            'user_wallet', t.wallet,
            'trader', t.wallet,
            'price', round(case when t.is_yes then t.price_yes else 1000000000 - t.price_yes end / 1000000000, 9),
            'price_after', round(t.price_yes / 1000000000, 9),
            'new_price_yes', t.price_yes,
            'tx_signature', t.signature,
            'ordinal', t.ordinal,
            'slot', t.order_key >> 24,
            'seq', t.seq,
            'created_at', t.at,
            'block_time', t.at
        ) as data
    from trades as t
    -- A trade has one message: the older type, and the newer one where newer clients follow all markets.
    cross join lateral (
        values
        ('trade', array['trades', 'market:' || t.market_id, 'wallet:' || t.wallet, 'me:' || t.wallet]),
        ('trade_executed', array['markets'])
    ) as y (type, topics)

    union all
    select
        e.seq,
        'vote',
        e.market_id,
        to_timestamp(least(greatest(e.clock, 0), 253402300799)),
        array['votes:' || e.market_id, 'market:' || e.market_id, 'wallet:' || e.wallet, 'me:' || e.wallet],
        null,
        json_build_object(
            'vote_type', case e.name when 'ProposalVoteSubmitted' then 'proposal' else 'dispute' end,
            'vote', (e.payload ->> 'vote')::boolean,
            'market_id', e.market_id,
            'user_wallet', e.wallet,
            'voted_at', to_timestamp(least(greatest(e.clock, 0), 253402300799)),
            'created_at', to_timestamp(least(greatest(e.clock, 0), 253402300799)),
            'source', 'chain',
            'tx_signature', e.signature,
            'seq', e.seq
        )
    from events as e
    where e.kind = 'event' and e.name in ('ProposalVoteSubmitted', 'DisputeVoteSubmitted')

    union all
    select
        e.seq,
        'vote',
        s.market_id,
        b.cast_at,
        array['votes:' || s.market_id, 'market:' || s.market_id, 'wallet:' || w.wallet, 'me:' || w.wallet],
        null,
        json_build_object(
            'vote_type', b.kind,
            'vote', b.vote,
            'market_id', s.market_id,
            'user_wallet', w.wallet,
            'voted_at', b.cast_at,
            'created_at', b.cast_at,
            'source', 'api',
            'tx_signature', null,
            'seq', e.seq
        )
    from entries as e
    inner join app.ballots as b on e.ref = b.seq
    inner join raw.markets_seen as s on b.market_no = s.market_no
    inner join raw.wallets_seen as w on b.wallet_no = w.wallet_no
    where e.kind = 'ballot'

    union all
    select
        e.seq,
        'market_event',
        e.market_id,
        to_timestamp(least(greatest(e.clock, 0), 253402300799)),
        array_remove(
            array['markets', 'market:' || e.market_id, 'wallet:' || e.wallet, 'me:' || e.wallet], null
        ) || case when e.market_no is null then array['status'] else array[]::text[] end,
        null,
        json_build_object(
            'name', e.name,
            'market_id', e.market_id,
            'user_wallet', e.wallet,
            'payload', e.payload,
            'tx_signature', e.signature,
            'ordinal', e.ordinal,
            'slot', e.order_key >> 24,
            'seq', e.seq,
            'created_at', to_timestamp(least(greatest(e.clock, 0), 253402300799))
        )
    from events as e
    where
        e.kind = 'event'
        and e.name not in ('SharesBought', 'SharesSold', 'ProposalVoteSubmitted', 'DisputeVoteSubmitted')

    union all
    -- The event is retracted, or has another place on chain than reported; ref is the seq that reported it.
    select
        e.seq,
        e.kind,
        e.market_id,
        to_timestamp(least(greatest(e.clock, 0), 253402300799)),
        array_remove(array[
            'markets', 'market:' || e.market_id, 'wallet:' || e.wallet, 'me:' || e.wallet,
            case when e.name in ('SharesBought', 'SharesSold') then 'trades' end,
            case when e.name in ('ProposalVoteSubmitted', 'DisputeVoteSubmitted') then 'votes:' || e.market_id end
        ], null),
        null,
        json_build_object(
            'ref', e.event_seq,
            'name', e.name,
            'market_id', e.market_id,
            'tx_signature', e.signature,
            'ordinal', e.ordinal,
            'slot', e.order_key >> 24,
            'seq', e.seq
        )
    from events as e
    where e.kind in ('retracted', 'moved')

    union all
    select
        e.seq,
        'discussion',
        s.market_id,
        e.at,
        -- The message also names the author of the comment that it answers.
        array_remove(array[
            'discussions:' || s.market_id, 'market:' || s.market_id, 'me:' || w.wallet, 'me:' || o.wallet
        ], null),
        null,
        json_build_object(
            'action', a.action,
            'discussion', json_build_object(
                'id', c.comment_no::text,
                'user_wallet', w.wallet,
                'content', a.content,
                'parent_id', c.parent_no::text,
                'upvotes', r.upvotes,
                'downvotes', r.downvotes,
                'created_at', c.created_at,
                'edited_at', c.edited_at,
                'deleted_at', c.deleted_at
            ),
            'postId', c.comment_no::text,
            'author', w.wallet,
            'content', a.content,
            'parentId', c.parent_no::text,
            'market_id', s.market_id,
            'seq', e.seq
        )
    from entries as e
    inner join app.comments as c on e.ref = c.comment_no
    inner join raw.markets_seen as s on c.market_no = s.market_no
    inner join raw.wallets_seen as w on c.wallet_no = w.wallet_no
    left join app.comments as p on c.parent_no = p.comment_no
    left join raw.wallets_seen as o on p.wallet_no = o.wallet_no
    cross join lateral (
        select count(*) filter (where x.vote = 'up') as upvotes, count(*) filter (where x.vote = 'down') as downvotes
        from app.reactions as x
        where x.comment_no = c.comment_no
    ) as r
    -- A comment that was deleted since is not sent to clients that read the entry later; of one that a moderator hid,
    -- and of its replies, nothing is sent (policies.sql).
    cross join lateral (
        select
            case
                when e.kind = 'reaction' then 'reacted'
                when c.deleted_at is not null then 'deleted'
                when e.seq = c.seq then 'created'
                else 'edited'
            end as action,
            case when c.deleted_at is null then c.content end as content
    ) as a
    where e.kind in ('comment', 'reaction') {of_shown_thread}

    union all
    select
        e.seq,
        'moderation',
        s.market_id,
        e.at,
        array_remove(array[
            'discussions:' || s.market_id, 'market:' || s.market_id, 'me:' || w.wallet,
            case when d.market_no is null then 'discussions' end,
            case when d.subject in ('image', 'event') then 'markets' end
        ], null),
        null,
        json_build_object(
            'action', d.action,
            'subject', d.subject,
            'post_id', d.comment_no::text,
            'market_id', s.market_id,
            'image_digest', encode(d.image_digest, 'hex'),
            'event_slug', (
                select l.slug from app.event_slugs as l
                where l.event_no = d.event_no
                order by l.assigned_at desc limit 1
            ),
            'user_wallet', w.wallet,
            'moderator_wallet', o.wallet,
            'reason', d.reason,
            'seq', e.seq
        )
    from entries as e
    inner join app.moderation as d on e.seq = d.seq
    inner join raw.wallets_seen as w on d.wallet_no = w.wallet_no
    inner join raw.wallets_seen as o on d.moderator_no = o.wallet_no
    left join raw.markets_seen as s on d.market_no = s.market_no
    where e.kind = 'moderation'

    union all
    select
        e.seq,
        'profile',
        null,
        e.at,
        array['wallet:' || w.wallet, 'me:' || w.wallet],
        null,
        json_build_object('user_wallet', w.wallet, 'display_name', u.display_name, 'bio', u.bio, 'seq', e.seq)
    from entries as e
    inner join raw.wallets_seen as w on e.wallet_no = w.wallet_no
    inner join app.wallets as u on e.wallet_no = u.wallet_no
    where e.kind = 'profile'

    union all
    select
        e.seq,
        'market_metadata',
        s.market_id,
        e.at,
        array['markets', 'market:' || s.market_id],
        null,
        json_build_object(
            'market_id', s.market_id,
            'question', d.question,
            'description', d.description,
            'category', d.category,
            'tags', d.tags,
            'end_date', d.ends_at,
            'slug', coalesce(d.slug, 'market-' || s.market_id),
            'seq', e.seq
        )
    from entries as e
    inner join raw.markets_seen as s on e.market_no = s.market_no
    -- Another wallet may have set metadata before the market existed. The oldest entries name no wallet.
    inner join app.market_metadata as d
        on s.market_id = d.market_id and d.wallet_no = coalesce(e.wallet_no, d.wallet_no)
    where e.kind = 'metadata'

    union all
    select
        e.seq,
        'market_page',
        s.market_id,
        e.at,
        array['markets', 'market:' || s.market_id],
        null,
        json_build_object(
            'market_id', s.market_id, 'image_url', {image_url}, 'event_slug', {event_slug}, 'seq', e.seq
        )
    from entries as e
    inner join raw.markets_seen as s on e.market_no = s.market_no
    inner join app.market_pages as g on e.market_no = g.market_no
    where e.kind = 'market_page'

    union all
    select
        e.seq,
        'event_group',
        null,
        e.at,
        array['markets'],
        null,
        json_build_object(
            'action', case when q.deleted_at is null then 'saved' else 'deleted' end,
            'slug', q.slug,
            'title', q.title,
            'description', q.description,
            'user_wallet', w.wallet,
            'markets', (
                select coalesce(json_agg(s.market_id order by p.event_place), '[]')
                from app.market_pages as p
                inner join raw.markets_seen as s on p.market_no = s.market_no
                where p.event_no = q.event_no
            ),
            'seq', e.seq
        )
    from entries as e
    inner join app.event_groups as q on e.ref = q.event_no
    inner join raw.wallets_seen as w on q.wallet_no = w.wallet_no
    where e.kind = 'event_group' and q.hidden_at is null

    union all
    select
        e.seq,
        'status',
        null,
        e.at,
        array['status'],
        null,
        json_build_object('kind', e.kind, 'finalized_through', e.ref, 'seq', e.seq)
    from entries as e
    where e.kind = 'finalized_through'

    union all
    select
        e.seq,
        'status',
        null,
        e.at,
        array['status'],
        null,
        json_build_object('kind', e.kind, 'finalized_through', null, 'seq', e.seq)
    from entries as e
    where e.kind = 'mart_stale'

    union all
    select
        s.seq,
        'market_state',
        s.id,
        statement_timestamp(),
        array['market:' || s.id],
        'market_state:' || s.id,
        {market_state}
    from states as s
    cross join lateral (select case when s.is_new then 'created' else 'updated' end as action) as k

    union all
    select
        s.seq,
        'market_update',
        s.id,
        statement_timestamp(),
        array['markets', 'market:' || s.id],
        'market_update:' || s.id,
        json_build_object(
            'market_id', s.id,
            'state', s.state,
            'state_code', s.state_code,
            'outcome', s.outcome,
            'priceYes', s.price_yes * 0.000000001,
            'priceNo', 1 - s.price_yes * 0.000000001,
            'totalShares', s.total_shares,
            'total_volume', s.total_volume,
            'total_volume_exact', s.total_volume::text,
            'trades_count', s.trades_count,
            'last_trade_at', s.last_trade_at,
            'last_seq', s.last_seq
        )
    from states as s

    union all
    select
        s.seq,
        'price_update',
        s.id,
        statement_timestamp(),
        array['markets', 'market:' || s.id],
        'price_update:' || s.id,
        json_build_object(
            'market_id', s.id,
            'priceYes', s.price_yes * 0.000000001,
            'priceNo', 1 - s.price_yes * 0.000000001,
            'totalShares', s.total_shares,
            'price_yes', s.price_yes,
            'shares_yes_exact', s.shares_yes::text,
            'shares_no_exact', s.shares_no::text,
            'last_seq', s.last_seq
        )
    from states as s
    where s.is_repriced

    union all
    select
        s.seq,
        'vote_tally',
        s.id,
        statement_timestamp(),
        array['votes:' || s.id],
        'vote_tally:' || s.id || ':' || y.kind,
        {vote_tally}
    from states as s
    -- Inside, the condition reaches the ballots' index; joined from outside, every tally would be counted.
    cross join lateral (select v.* from marts.vote_tallies as v where v.market_no = s.market_no) as y
    where s.is_voted

    union all
    select
        h.seq,
        'position_update',
        p.market_id,
        statement_timestamp(),
        array['wallet:' || p.user_wallet, 'me:' || p.user_wallet],
        'position_update:' || p.market_id || ':' || p.user_wallet,
        {position}
    from held as h
    inner join marts.positions as p on h.market_no = p.market_no and h.wallet_no = p.wallet_no
    cross join reach as r
    where
        p.last_seq <= r.seq
        and not exists (select from ops.models as o where o.name = 'positions' and o.applied_seq is not null)
)
select
    r.epoch,
    r.head,
    raw.mark_of(r.head),
    raw.mark_of(%(after)s),
    exists(select from ops.models as o where o.name in ('markets', 'positions') and o.applied_seq is not null),
    e.seq,
    e.mark,
    m.topics,
    m.state_key,
    m.type,
    json_build_object('type', m.type, 'market_id', m.market_id, 'timestamp', m.at, 'data', m.data)::text as message,
    extract(epoch from clock_timestamp() - e.at)::float as age
from reach as r
left join entries as e on true
left join (select * from messages as w where %(topics)s::text[] is null or w.topics && %(topics)s::text[]) as m on e.seq = m.seq
order by e.seq, m.state_key nulls first, m.type;

-- name: snapshot
-- The current state at the end of the log, for each topic that has one; at least one row.
with asked as (
    select t.topic, split_part(t.topic, ':', 1) as kind, split_part(t.topic, ':', 2) as about
    from unnest(%(topics)s::text[]) as t (topic)
),
reach as materialized (
    select i.epoch::text as epoch, coalesce((select max(h.seq) from raw.feed as h), 0) as head
    from raw.identity as i
),
messages as (
    select a.topic, 'market_state' as type, a.about as market_id, {market_state} as data
    from asked as a
    -- An unknown market has the state of a new one.
    left join lateral (
        select
            m.market_no, m.state, m.price_yes, m.shares_yes + m.shares_no as total_shares
        from marts.markets as m
        where m.id = a.about and m.is_known
    ) as s on true
    cross join (values ('snapshot')) as k (action)
    where a.kind = 'market'

    union all
    select a.topic, 'vote_tally', a.about, {vote_tally}
    from asked as a
    inner join raw.markets_seen as n on a.about = n.market_id
    cross join lateral (select n.market_id as id) as s
    cross join lateral (select v.* from marts.vote_tallies as v where v.market_no = n.market_no) as y
    where a.kind = 'votes'

    union all
    select a.topic, 'position_update', p.market_id, {position}
    from asked as a
    inner join raw.wallets_seen as w on a.about = w.wallet
    cross join lateral (
        select q.* from marts.positions as q where q.wallet_no = w.wallet_no order by q.last_seq desc limit 200
    ) as p
    where a.kind in ('wallet', 'me')

    union all
    select
        a.topic,
        'status',
        null,
        json_build_object(
            'kind', 'snapshot',
            'finalized_through', raw.finalized_through(),
            'stale', array(select o.name from ops.models as o where o.applied_seq is not null order by o.name)
        )
    from asked as a
    where a.kind = 'status'
)
select
    r.epoch,
    r.head,
    raw.mark_of(r.head),
    m.topic,
    m.data::text as data,
    json_build_object('type', m.type, 'market_id', m.market_id, 'timestamp', statement_timestamp(), 'data', m.data)::text
from reach as r
left join messages as m on true
order by m.topic, m.type;

-- name: market_state
-- The state of market s, in the format of older clients (protocol.md 7.2 and 7.3); k.action is the reason of the message.
-- From here on the file holds parts of statements.
-- noqa: disable=all
json_build_object(
    'action', k.action,
    'old_state', null,
    'new_state', s.state,
    'market', (
        select row_to_json(r) from (
            select {market_brief} from {from_markets} where m.market_no = s.market_no
        ) as r
    ),
    'priceYes', coalesce(s.price_yes * 0.000000001, 0.5),
    'priceNo', coalesce(1 - s.price_yes * 0.000000001, 0.5),
    'totalShares', coalesce(s.total_shares, 0)
)

-- name: vote_tally
-- The ballots y of market s.
json_build_object(
    'market_id', s.id,
    'vote_type', y.kind,
    'likes', y.agree,
    'dislikes', y.disagree,
    'total', y.total,
    'last_seq', y.last_seq
)

-- name: position
-- The state of the user position of p.
json_build_object(
    'market_id', p.market_id,
    'user_wallet', p.user_wallet,
    'shares_yes', p.shares_yes,
    'shares_yes_exact', p.shares_yes::text,
    'shares_no', p.shares_no,
    'shares_no_exact', p.shares_no::text,
    'total_invested', p.total_invested,
    'total_invested_exact', p.total_invested::text,
    'total_proceeds', p.total_proceeds,
    'total_proceeds_exact', p.total_proceeds::text,
    'trades_count', p.trades_count,
    'has_claimed', p.has_claimed,
    'claimed_amount', p.claimed_amount,
    'claimed_amount_exact', p.claimed_amount::text,
    'last_seq', p.last_seq
)
