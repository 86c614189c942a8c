create or replace function app.find_own_event_group(p_slug text) returns app.event_groups
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
declare
    v_group app.event_groups;
begin
    select g.* into v_group
    from app.event_slugs as s
    inner join app.event_groups as g on s.event_no = g.event_no
    where s.slug = p_slug and g.deleted_at is null and (g.hidden_at is null or app.is_moderator());
    if v_group.event_no is null then
        raise exception 'Event not found: %', p_slug using errcode = 'ZM404';
    elsif app.is_moderator() then
        return v_group;
    elsif v_group.wallet_no is distinct from app.current_wallet_no() then
        raise exception 'only the wallet that made an event, or a moderator, can change it' using errcode = 'ZM403';
    elsif exists (
        select from app.market_pages as p
        inner join marts.markets as m on p.market_no = m.market_no
        where p.event_no = v_group.event_no and m.creator_wallet <> app.current_wallet()
    ) then
        raise exception 'a moderator has put markets of others into this event, so only moderators can change it'
            using errcode = 'ZM403';
    end if;
    return v_group;
end
$$;
comment on function app.find_own_event_group is
'Returns the event with a slug, or with one that it had, if this request may change it. ZM403: it may not. ZM404: no such event.';
