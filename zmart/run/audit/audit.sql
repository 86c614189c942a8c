-- Statements of zmart/run/audit.

-- name: head
-- The end of the log, the end of its chain and the chain's last value (null where nothing is sealed), and the last entry
-- that may be without a chain.
select
    i.epoch::text,
    (select coalesce(max(f.seq), 0) from raw.feed as f),
    c.last_seq,
    c.value,
    i.unsealed_through
from raw.identity as i
left join (select * from raw.commits order by last_seq desc limit 1) as c on true;

-- name: entries
-- The entries after a seq, each with what its digest is made of: the event's columns, or the text of ballots. Comments
-- are compared by `stray_writings`, once for all: an older entry has no text any more.
select
    f.seq,
    f.kind,
    f.ref,
    f.digest,
    t.signature,
    e.ordinal,
    e.name,
    -- An event that was rebuilt from an instruction has no id in its bytes, except the one that creates the market.
    case when not coalesce(e.context ? 'rebuilt_from', false) or e.name = 'MarketCreated' then m.market_id end,
    m.account,
    w.wallet,
    e.clock,
    e.payload,
    case f.kind
        -- An imported ballot has no text (zmart/run/export/importer.py).
        when 'ballot' then (
            select nullif(b.message || E'\n' || b.signature, E'\n') from app.ballots as b where b.seq = f.seq
        )
    end
from raw.feed as f
left join raw.events as e on f.kind = 'event' and f.seq = e.seq
left join raw.transactions as t on e.transaction_no = t.transaction_no
left join raw.markets_seen as m on e.market_no = m.market_no
left join raw.wallets_seen as w on e.wallet_no = w.wallet_no
where f.seq > %(after)s and f.seq <= %(until)s
order by f.seq;

-- name: stray_events
-- The first event between two seqs that is not in the log as folds read it: added past the functions, or moved to another
-- market or wallet.
select
    e.seq,
    case
        when f.seq is null then 'an event without an entry in the log'
        else 'the event has another market or wallet than its entry'
    end as problem
from raw.events as e
left join raw.feed as f on e.seq = f.seq and f.kind = 'event'
where
    e.seq > %(after)s and e.seq <= %(until)s
    and (f.seq is null or (f.market_no, f.wallet_no) is distinct from (e.market_no, e.wallet_no))
order by e.seq
limit 1;

-- name: stray_retractions
-- The first event that was retracted or brought back past the functions.
select
    coalesce(e.seq, r.ref) as seq,
    'an event whose retraction is not the one in the log' as problem
from (select o.seq from raw.events as o where o.retracted_at is not null) as e
full join (select distinct f.ref from raw.feed as f where f.kind = 'retracted') as r on e.seq = r.ref
where e.seq is null or r.ref is null
order by 1
limit 1;

-- name: stray_writings
-- The first row of what wallets and moderators write that is not the one of its newest entry. Entries of an imported or an
-- old log may have no text behind them; a row with a text must have its entry.
with written as materialized (
    select
        f.seq,
        f.kind,
        f.ref,
        f.market_no,
        f.wallet_no,
        f.digest
    from raw.feed as f
    where f.kind in ('ballot', 'comment', 'reaction', 'metadata', 'moderation', 'profile', 'market_page', 'event_group')
),

comment_entries as (
    select distinct on (w.ref) w.*
    from written as w
    where w.kind = 'comment'
    order by w.ref asc, w.seq desc
),

metadata_entries as (
    select distinct on (w.market_no, w.wallet_no) w.*
    from written as w
    where w.kind = 'metadata'
    order by w.market_no asc, w.wallet_no asc, w.seq desc
),

profile_entries as (
    -- A moderator who clears a profile ends it, too.
    select distinct on (p.wallet_no)
        p.wallet_no,
        p.seq,
        p.digest
    from (
        select
            w.wallet_no,
            w.seq,
            w.digest
        from written as w
        where w.kind = 'profile'
        union all
        select
            d.wallet_no,
            d.seq,
            sha256(convert_to(jsonb_build_array(null, null)::text, 'UTF8'))
        from app.moderation as d
        where d.subject = 'profile'
    ) as p
    order by p.wallet_no asc, p.seq desc
),

group_entries as (
    select distinct on (w.ref) w.*
    from written as w
    where w.kind = 'event_group'
    order by w.ref asc, w.seq desc
),

image_entries as (
    -- The other entries about pages of markets are those of an event, which markets joined or left with it.
    select distinct on (w.market_no) w.*
    from written as w
    where
        w.kind = 'market_page'
        and not exists (select from written as g where g.kind = 'event_group' and g.digest = w.digest)
    order by w.market_no asc, w.seq desc
),

-- The text of a ballot names what its row says; the texts of other clients and of an imported log do not.
signed_ballots as (
    select
        b.seq,
        regexp_match(b.message, E'\nMarket: (\\S+)\nKind: (\\S+)\nChoice: (\\S+)\nWallet: (\\S+)\nNonce: ') as named
    from app.ballots as b
    where b.message like 'ZMART ballot%%'
),

-- Hidden or not, banned or not: the newest decision that changes it.
decisions as (
    select distinct on (d.subject, d.comment_no, d.image_digest, d.event_no, d.banned)
        d.seq,
        d.subject,
        d.comment_no,
        d.image_digest,
        d.event_no,
        d.banned,
        d.action in ('hide', 'erase', 'ban') as is_in_force
    from (
        select
            m.*,
            case when m.subject = 'wallet' then m.wallet_no end as banned
        from app.moderation as m
        where m.action in ('hide', 'restore', 'erase', 'ban', 'unban')
    ) as d
    order by d.subject asc, d.comment_no asc, d.image_digest asc, d.event_no asc, d.banned asc, d.seq desc
),

strays as (
    select
        b.seq,
        case
            when w.seq is null then 'a ballot without an entry in the log'
            else 'the ballot has another market or wallet than its entry'
        end as problem
    from app.ballots as b
    left join written as w on b.seq = w.seq and w.kind = 'ballot'
    where w.seq is null or (w.market_no, w.wallet_no) is distinct from (b.market_no, b.wallet_no)
    union all
    select
        b.seq,
        'the ballot is not the one that its text names'
    from app.ballots as b
    inner join signed_ballots as s on b.seq = s.seq
    inner join raw.markets_seen as m on b.market_no = m.market_no
    inner join raw.wallets_seen as v on b.wallet_no = v.wallet_no
    where
        s.named is null
        or s.named[1] not in (coalesce(m.market_id, m.account), m.account)
        or s.named[2] <> b.kind
        or s.named[3] <> case b.kind
            when 'proposal' then case when b.vote then 'like' else 'dislike' end
            else case when b.vote then 'agree' else 'disagree' end
        end
        or s.named[4] <> v.wallet
    union all
    select
        coalesce(n.seq, c.seq),
        'the text of the comment is not the one that was appended'
    from app.comments as c
    left join comment_entries as n on c.comment_no = n.ref
    where
        c.deleted_at is null and c.erased_at is null and c.content <> ''
        -- Edits had no digest of their text once.
        and n.digest is distinct from sha256('')
        and n.digest is distinct from sha256(convert_to(c.content, 'UTF8'))
    union all
    select
        n.seq,
        'the comment has another market or author than its entry'
    from app.comments as c
    inner join comment_entries as n on c.comment_no = n.ref
    where (n.market_no, n.wallet_no) is distinct from (c.market_no, c.wallet_no)
    union all
    select
        r.seq,
        'a reaction without an entry in the log'
    from app.reactions as r
    left join written as w on r.seq = w.seq and w.kind = 'reaction'
    where w.seq is null or (w.ref, w.wallet_no) is distinct from (r.comment_no, r.wallet_no)
    union all
    select
        n.seq,
        'the metadata of the market is not what was appended'
    from metadata_entries as n
    inner join raw.markets_seen as m on n.market_no = m.market_no
    inner join app.market_metadata as d on m.market_id = d.market_id and n.wallet_no = d.wallet_no
    where
        -- Metadata of before 0036.
        n.digest <> sha256('')
        and n.digest <> sha256(convert_to(jsonb_build_array(
            d.question, d.description, d.category, d.tags, d.ends_at, d.question_cid
        )::text, 'UTF8'))
    union all
    select
        n.seq,
        'the profile is not what was appended'
    from app.wallets as p
    left join profile_entries as n on p.wallet_no = n.wallet_no
    where
        -- Profiles of before 0100 have no entry.
        n.digest <> sha256(convert_to(jsonb_build_array(p.display_name, p.bio)::text, 'UTF8'))
    union all
    select
        coalesce(n.seq, 0),
        'the event is not what was appended'
    from app.event_groups as g
    left join group_entries as n on g.event_no = n.ref
    where
        n.digest is distinct from sha256(convert_to(case
            when g.deleted_at is not null then jsonb_build_array('delete', g.slug)
            else jsonb_build_array('save', g.slug, g.title, g.description, (
                select array_agg(p.market_no order by p.event_place) from app.market_pages as p where p.event_no = g.event_no
            ))
        end::text, 'UTF8'))
    union all
    select
        coalesce(n.seq, 0),
        'the image of the market is not the one that was appended'
    from app.market_pages as p
    left join image_entries as n on p.market_no = n.market_no
    where
        (p.image_digest is not null or n.seq is not null)
        and n.digest is distinct from sha256(
            convert_to(jsonb_build_array('image', encode(p.image_digest, 'hex'))::text, 'UTF8')
        )
    union all
    select
        d.seq,
        'the decision of the moderator is not the one that was appended'
    from app.moderation as d
    left join written as w on d.seq = w.seq and w.kind = 'moderation'
    where
        (w.market_no, w.wallet_no) is distinct from (d.market_no, d.wallet_no)
        or w.digest is distinct from sha256(convert_to(jsonb_build_array(
            d.action, d.subject, coalesce(d.comment_no::text, encode(d.image_digest, 'hex'), d.event_no::text), d.reason
        )::text, 'UTF8'))
    union all
    select
        coalesce(d.seq, c.seq),
        'the comment is not hidden or shown as moderators decided'
    from app.comments as c
    left join decisions as d on c.comment_no = d.comment_no
    where (c.hidden_at is not null) <> coalesce(d.is_in_force, false)
    union all
    select
        coalesce(d.seq, 0),
        'the image is not hidden or shown as moderators decided'
    from app.images as i
    left join decisions as d on i.digest = d.image_digest
    where (i.hidden_at is not null) <> coalesce(d.is_in_force, false)
    union all
    select
        coalesce(d.seq, 0),
        'the event is not hidden or shown as moderators decided'
    from app.event_groups as g
    left join decisions as d on g.event_no = d.event_no
    where (g.hidden_at is not null) <> coalesce(d.is_in_force, false)
    union all
    select
        coalesce(d.seq, 0),
        'the wallet is not banned or free as moderators decided'
    from app.bans as b
    full join (select * from decisions where subject = 'wallet') as d on b.wallet_no = d.banned
    where (b.wallet_no is not null) <> coalesce(d.is_in_force, false)
)

select
    seq,
    problem
from strays
order by seq
limit 1;

-- name: commits
-- The chain in order.
select
    first_seq,
    last_seq,
    value
from raw.commits
order by last_seq;

-- name: end_unsealed_history
-- Every entry is sealed: from now on, one without a chain means that the end of the chain was removed.
update raw.identity set unsealed_through = null where unsealed_through is not null;

-- name: accept_broken_chain
-- An operator decided: seal what the chain lacks, as if an earlier release had appended it.
with accepted as (
    update raw.identity set unsealed_through = %(head)s
)

select ops.record_audit(
    %(who)s, 'audit seal', format('entries %%s to %%s', %(last)s::bigint + 1, %(head)s::bigint), %(reason)s, '{}'
);

-- name: lock_log
-- Wait for the right to append, at most five seconds.
select raw.take_writer();

-- name: extend_chain
-- Seal entries that follow the end of the chain; false where it has moved.
select raw.extend_chain(%(first)s, %(last)s, %(leaves)s);

-- name: epoch
-- The epoch of the log, its end, and its own mark of a position.
select
    i.epoch::text,
    (select coalesce(max(f.seq), 0) from raw.feed as f),
    raw.mark_of(%(seq)s)
from raw.identity as i;
