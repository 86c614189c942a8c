create or replace function ops.discussion_on(p_day date)
returns table (
    market_no int, market_id text, comment_no bigint, parent_no bigint, user_wallet text, content text,
    created_at timestamptz, edited_at timestamptz, deleted_at timestamptz
)
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
    with the_day as (
        select p_day::timestamp at time zone 'UTC' as begins, (p_day + 1)::timestamp at time zone 'UTC' as ends
    ),
    changed as (
        select c.comment_no from app.comments as c, the_day as d
        where c.created_at >= d.begins and c.created_at < d.ends or c.deleted_at >= d.begins and c.deleted_at < d.ends
        union
        select e.comment_no from app.comment_edits as e, the_day as d
        where e.edited_at >= d.begins and e.edited_at < d.ends
    )
    select
        c.market_no,
        m.market_id,
        c.comment_no,
        c.parent_no,
        w.wallet,
        case when c.deleted_at < d.ends then null else coalesce(later.content_before, c.content) end,
        c.created_at,
        (select max(e.edited_at) from app.comment_edits as e where e.comment_no = c.comment_no and e.edited_at < d.ends),
        case when c.deleted_at < d.ends then c.deleted_at end
    from changed as t
    inner join app.comments as c on t.comment_no = c.comment_no
    inner join raw.markets_seen as m on c.market_no = m.market_no
    inner join raw.wallets_seen as w on c.wallet_no = w.wallet_no
    cross join the_day as d
    left join lateral (
        select e.content_before from app.comment_edits as e
        where e.comment_no = c.comment_no and e.edited_at >= d.ends
        order by e.edited_at
        limit 1
    ) as later on true
    where m.market_id is not null
    order by c.market_no, c.comment_no;
end;
comment on function ops.discussion_on is
'Returns every comment that was written, edited or deleted on a UTC day, with its text at the end of that day. For a day that is over, the result never changes.';

grant execute on function ops.discussion_on to zmart_keeper;
