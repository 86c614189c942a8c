-- Comments under each market, with their ratings and reports. A deleted or hidden comment keeps its place, but not its
-- text.
select
    comments.comment_no,
    comments.market_no,
    comments.wallet_no,
    markets.market_id,
    wallets.wallet as user_wallet,
    comments.parent_no,
    case when comments.deleted_at is null and comments.hidden_at is null then comments.content end as content,
    comments.deleted_at is not null as is_deleted,
    comments.hidden_at is not null as is_hidden,
    comments.edited_at is not null as is_edited,
    (
        select count(*) from {{ source('app', 'comment_edits') }} as edits
        where edits.comment_no = comments.comment_no
    ) as edits_count,
    reactions.up_count,
    reactions.down_count,
    (
        select count(*) from {{ source('app', 'flags') }} as flags
        where flags.comment_no = comments.comment_no
    ) as flags_count,
    (
        select count(*) from {{ source('app', 'comments') }} as replies
        where replies.parent_no = comments.comment_no and replies.deleted_at is null and replies.hidden_at is null
    ) as replies_count,
    comments.created_at,
    comments.edited_at,
    comments.deleted_at,
    greatest(comments.seq, reactions.last_seq) as last_seq
from {{ source('app', 'comments') }} as comments
inner join {{ source('raw', 'markets_seen') }} as markets on comments.market_no = markets.market_no
inner join {{ source('raw', 'wallets_seen') }} as wallets on comments.wallet_no = wallets.wallet_no
cross join lateral (
    select
        count(*) filter (where votes.vote = 'up') as up_count,
        count(*) filter (where votes.vote = 'down') as down_count,
        max(votes.seq) as last_seq
    from {{ source('app', 'reactions') }} as votes
    where votes.comment_no = comments.comment_no
) as reactions
