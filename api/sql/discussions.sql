-- Posts under markets.

-- name: discussions
-- A page of a market's posts, the newest first, deleted ones left out.
with page as materialized (
    select c.comment_no as number, c.comment_no as sort_key
    from app.comments as c
    where c.market_no = {the_market} and c.deleted_at is null {beyond} {of_shown_thread}
    order by c.comment_no desc
    limit %(limit)s + 1 offset %(offset)s
),
shown as materialized (
    select * from page order by number desc limit %(limit)s
)
select {stated}, case when {market_exists} then json_build_object(
    'discussions', coalesce((
        select json_agg(row_to_json(r)) from (
            select {post}
            from shown as p
            inner join marts.discussions as c on p.number = c.comment_no
            order by p.number desc
        ) as r
    ), '[]'),
    'count', (select count(*) from shown),
    'limit', %(limit)s::int,
    'offset', %(offset)s::int,
    'next_cursor', (
        select {cursor} from (select s.* from shown as s order by s.number limit 1) as p
        where (select count(*) from page) > %(limit)s
    ),
    {named_market}
    'as_of', {as_of}
) end as body
from ops.as_of(array['markets']) as a;

-- name: threads
-- A page of a market's threads, the newest first, each with its first replies in the order of their creation.
with page as materialized (
    select c.comment_no as number, c.comment_no as sort_key
    from app.comments as c
    where
        c.market_no = {the_market} and c.root_no is null {beyond}
        and (c.deleted_at is null or exists (
            select from app.comments as r where r.root_no = c.comment_no and r.deleted_at is null
        ))
    order by c.comment_no desc
    limit %(limit)s + 1 offset %(offset)s
),
shown as materialized (
    select * from page order by number desc limit %(limit)s
)
select {stated}, case when {market_exists} then json_build_object(
    'discussions', coalesce((
        select json_agg(row_to_json(r)) from (
            select
                {post},
                (
                    select count(*) from app.comments as n where n.root_no = p.number and n.deleted_at is null
                ) as replies_count,
                coalesce((
                    select json_agg(row_to_json(f)) from (
                        select {post}
                        from (
                            select n.comment_no from app.comments as n
                            where n.root_no = p.number
                            order by n.comment_no limit %(replies)s
                        ) as n
                        inner join marts.discussions as c on n.comment_no = c.comment_no
                        order by n.comment_no
                    ) as f
                ), '[]') as replies
            from shown as p
            inner join marts.discussions as c on p.number = c.comment_no
            order by p.number desc
        ) as r
    ), '[]'),
    'count', (select count(*) from shown),
    'limit', %(limit)s::int,
    'offset', %(offset)s::int,
    'next_cursor', (
        select {cursor} from (select s.* from shown as s order by s.number limit 1) as p
        where (select count(*) from page) > %(limit)s
    ),
    {named_market}
    'as_of', {as_of}
) end as body
from ops.as_of(array['markets']) as a;

-- name: replies
-- The replies of a thread after a number, oldest first.
with page as materialized (
    select c.comment_no as number, c.comment_no as sort_key
    from app.comments as c
    where c.root_no = %(number)s::bigint and c.comment_no > %(after)s::bigint
    order by c.comment_no
    limit %(limit)s + 1
),
shown as materialized (
    select * from page order by number limit %(limit)s
)
select {stated}, (
    select json_build_object(
        'replies', coalesce((
            select json_agg(row_to_json(r)) from (
                select {post} from shown as p
                inner join marts.discussions as c on p.number = c.comment_no
                order by p.number
            ) as r
        ), '[]'),
        'count', (select count(*) from shown),
        'limit', %(limit)s::int,
        'next_cursor', (
            select {cursor} from (select s.* from shown as s order by s.number desc limit 1) as p
            where (select count(*) from page) > %(limit)s
        ),
        'as_of', {as_of}
    )
    from app.comments as t where t.comment_no = %(number)s::bigint and t.root_no is null
) as body
from ops.as_of('{}') as a;

-- name: edits
-- The texts of a post before each of its edits, the latest first; none for a deleted post.
select {stated}, (
    select json_build_object(
        'id', c.comment_no::text,
        'content', c.content,
        'edits', coalesce((
            select json_agg(json_build_object(
                'content_before', e.content_before, 'edited_at', e.edited_at
            ) order by e.edited_at desc)
            from (
                select * from app.comment_edits as n
                where n.comment_no = c.comment_no order by n.edited_at desc limit 100
            ) as e
        ), '[]'),
        'as_of', {as_of}
    )
    from app.comments as c
    where c.comment_no = %(number)s::bigint and c.deleted_at is null {of_shown_thread}
) as body
from ops.as_of('{}') as a;

-- name: discussion
-- One post that is not deleted.
select {stated}, (
    select row_to_json(r) from (
        select {post} from marts.discussions as c
        where c.comment_no = %(number)s::bigint and not c.is_deleted and not c.is_hidden
    ) as r
) as body
from ops.as_of('{}') as a;

-- name: post_comment
-- Create a post of the signed-in wallet; returns the number of the post.
select app.post_comment(%(market)s, %(content)s, %(parent_no)s::bigint);

-- name: edit_comment
-- Edit the wallet's own post.
select app.edit_comment(%(number)s::bigint, %(content)s);

-- name: delete_comment
-- Delete the wallet's own post.
select app.delete_comment(%(number)s::bigint);

-- name: react
-- Rate a post up, down or not at all.
select app.react(%(number)s::bigint, %(vote)s::text);

-- name: flag_comment
-- Report a post.
select app.flag_comment(%(number)s::bigint, %(reason)s);

-- name: rest_discussions
-- A market's posts, the newest first, as rows of the earlier table and as the earlier frontend reads them.
select {stated}, coalesce((
    select json_agg(json_build_object(
        'id', d.comment_no::text,
        'discussion_id', d.comment_no::text,
        'market_id', d.market_id,
        'user_wallet', d.user_wallet,
        'wallet', d.user_wallet,
        'content', d.content,
        'created_at', d.created_at,
        'deleted_at', null,
        'upvotes', d.up_count
    ) order by p.number desc)
    from (
        select c.comment_no as number from app.comments as c
        where c.market_no = {the_market} and c.deleted_at is null {of_shown_thread}
        order by c.comment_no desc
        limit %(limit)s
    ) as p
    inner join marts.discussions as d on p.number = d.comment_no
), '[]') as body
from ops.as_of(array['markets']) as a;
