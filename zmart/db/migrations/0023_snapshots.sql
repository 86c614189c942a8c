-- Discussion snapshots: what a market's discussion said when a UTC day was over, read from the log, the same every time.

-- A day is over for good once its midnight has passed and whoever was writing then is done: posts, edits and deletions
-- are dated while holding raw.writer.
create function ops.day_is_over(p_day date) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if (clock_timestamp() at time zone 'UTC')::date <= p_day then
        return false;
    end if;
    perform raw.take_writer();
    return true;
end
$$;
comment on function ops.day_is_over is 'Whether nothing more can be dated into a UTC day; waits for who is writing.';

create function ops.discussion_on(p_day date)
returns table (
    market_no int, market_id text, comment_no bigint, parent_no bigint, user_wallet text, content text,
    created_at timestamptz, edited_at timestamptz, deleted_at timestamptz
)
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
    with the_day as (
        select p_day::timestamp at time zone 'UTC' as begins, (p_day + 1)::timestamp at time zone 'UTC' as ends
    ),
    touched as (
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
    from touched as t
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
'Every comment that was written, edited or deleted on a UTC day, as it stood when the day was over. A day that is over answers the same for good.';

create function ops.days_discussed(p_from date) returns table (market_no int, day date)
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
    select c.market_no, (c.created_at at time zone 'UTC')::date
    from app.comments as c where c.created_at >= p_from::timestamp at time zone 'UTC'
    union
    select c.market_no, (c.deleted_at at time zone 'UTC')::date
    from app.comments as c where c.deleted_at >= p_from::timestamp at time zone 'UTC'
    union
    select c.market_no, (e.edited_at at time zone 'UTC')::date
    from app.comment_edits as e inner join app.comments as c on e.comment_no = c.comment_no
    where e.edited_at >= p_from::timestamp at time zone 'UTC';
end;
comment on function ops.days_discussed is 'The UTC days from p_from on that have something to snapshot, by market.';

create index comment_edits_when on app.comment_edits (edited_at);
create index comments_when on app.comments (created_at);
create index comments_deleted on app.comments (deleted_at) where deleted_at is not null;

alter table ops.snapshots add column document_bytes bigint;
comment on column ops.snapshots.comments_count is 'Comments in the document: written, edited or deleted that day.';
comment on column ops.snapshots.previous_cid is 'The CIDv0 of the market''s anchored day before, as the document names it.';
comment on column ops.snapshots.published_at is 'When a node held it under this name and it was read back.';
comment on column ops.snapshots.pinned_at is 'When the second service said it keeps it; null without one, or not yet.';
-- Documents are asked for by either spelling.
create index snapshots_v0 on ops.snapshots (cid_v0);
create index snapshots_v1 on ops.snapshots (cid_v1);

revoke all on function ops.day_is_over, ops.discussion_on, ops.days_discussed from public;
grant execute on function ops.day_is_over, ops.discussion_on, ops.days_discussed to zmart_keeper;
grant select on ops.snapshots to analyst;
