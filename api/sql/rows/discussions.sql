-- name: post
-- One post c of marts.discussions, with the names of the older table and of the browser (protocol.md 5.3, 9.6).
-- A deleted post has no text; it is shown only if it has replies.
c.comment_no::text as id,
c.market_id,
c.market_id as "marketId",
c.user_wallet,
c.user_wallet as author,
coalesce(c.content, '') as content,
c.parent_no::text as parent_id,
c.parent_no::text as "parentId",
c.up_count as upvotes,
c.down_count as downvotes,
c.flags_count as flags,
c.flags_count > 0 as "isFlagged",
c.edits_count as edits,
c.created_at,
c.created_at as "createdAt",
c.edited_at,
c.deleted_at,
c.last_seq

-- name: of_shown_thread
-- Posts whose thread is shown: row level security hides a hidden first post, and with it go its replies. It is no
-- `exists`, which Postgres may answer by a hash of all comments.
and (c.root_no is null or (select true from app.comments as t where t.comment_no = c.root_no))

-- name: where_post_before
-- Posts before a cursor.
and c.comment_no < %(cursor_no)s::bigint
