create or replace function ops.discussion_days(p_from date) returns table (market_no int, day date)
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
comment on function ops.discussion_days is 'Returns the UTC days from p_from on, by market, on which a comment was written, edited or deleted.';

grant execute on function ops.discussion_days to zmart_keeper;
