-- Moderation: the queue of reports, decisions and their public log.

-- name: moderation_queue
-- A page of posts with reports since the last decision about them, those with the most first. Run as a moderator: row level
-- security shows the reports and hidden posts of others to moderators alone.
with page as materialized (
    select q.comment_no, q.flags, q.since
    from app.open_reports as q
    where (q.flags, q.comment_no) < (%(flags)s::int, %(number)s::bigint)
    order by q.flags desc, q.comment_no desc
    limit %(limit)s + 1
),
shown as materialized (
    select * from page order by flags desc, comment_no desc limit %(limit)s
)
select json_build_object(
    'posts', coalesce((
        select json_agg(row_to_json(r)) from (
            select
                c.comment_no::text as id,
                s.market_id,
                w.wallet as user_wallet,
                c.content,
                c.hidden_at is not null as is_hidden,
                c.deleted_at is not null as is_deleted,
                b.wallet_no is not null as is_author_banned,
                c.created_at,
                q.flags,
                n.reasons,
                n.last_flag_at
            from shown as q
            inner join app.comments as c on q.comment_no = c.comment_no
            inner join raw.markets_seen as s on c.market_no = s.market_no
            inner join raw.wallets_seen as w on c.wallet_no = w.wallet_no
            left join app.bans as b on c.wallet_no = b.wallet_no
            cross join lateral (
                select json_agg(f.reason order by f.flagged_at desc) as reasons, max(f.flagged_at) as last_flag_at
                from (
                    select i.reason, i.flagged_at from app.flags as i
                    where i.comment_no = q.comment_no and i.flagged_at >= q.since
                    order by i.flagged_at desc limit 10
                ) as f
            ) as n
            order by q.flags desc, q.comment_no desc
        ) as r
    ), '[]'),
    'limit', %(limit)s::int,
    'next_cursor', (
        select q.flags || '-' || q.comment_no from (select * from shown order by flags, comment_no limit 1) as q
        where (select count(*) from page) > %(limit)s
    )
)::text as body
where app.is_moderator();

-- name: moderate_comment
-- Hide, restore or erase a post, or dismiss its reports; returns the seq of the log entry.
select app.moderate_comment(%(number)s::bigint, %(action)s::text, %(reason)s);

-- name: moderate_wallet
-- Ban a wallet or lift its ban; returns the seq of the log entry.
select app.moderate_wallet(%(wallet)s, %(action)s::text, %(reason)s);

-- name: moderate_image
-- Hide, restore or erase an image; returns the seq of the log entry.
select app.moderate_image(decode(%(digest)s::text, 'hex'), %(action)s::text, %(reason)s);

-- name: moderate_event_group
-- Hide or restore an event; returns the seq of the log entry.
select app.moderate_event_group(%(slug)s::text, %(action)s::text, %(reason)s);

-- name: moderation_log
-- Decisions before a seq, the newest first.
with page as materialized (
    select d.* from app.moderation as d
    where d.seq < %(before)s::bigint
    order by d.seq desc
    limit %(limit)s + 1
),
shown as materialized (
    select * from page order by seq desc limit %(limit)s
)
select {stated}, json_build_object(
    'decisions', coalesce((
        select json_agg(json_build_object(
            'seq', d.seq,
            'action', d.action,
            'subject', d.subject,
            'post_id', d.comment_no::text,
            'market_id', s.market_id,
            'image_digest', encode(d.image_digest, 'hex'),
            'event_slug', v.slug,
            'user_wallet', w.wallet,
            'moderator_wallet', o.wallet,
            'reason', d.reason,
            'decided_at', d.decided_at
        ) order by d.seq desc)
        from shown as d
        inner join raw.wallets_seen as w on d.wallet_no = w.wallet_no
        inner join raw.wallets_seen as o on d.moderator_no = o.wallet_no
        left join raw.markets_seen as s on d.market_no = s.market_no
        left join lateral (
            select l.slug from app.event_slugs as l
            where l.event_no = d.event_no
            order by l.assigned_at desc limit 1
        ) as v on true
    ), '[]'),
    'limit', %(limit)s::int,
    'next_before', (select min(d.seq) from shown as d where (select count(*) from page) > %(limit)s),
    'as_of', {as_of}
) as body
from ops.as_of('{}') as a;
