create or replace function app.moderate_event_group(p_slug text, p_action text, p_reason text) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_moderator_no int := app.require_moderator(p_reason);
    v_group app.event_groups := app.find_own_event_group(p_slug);
begin
    if p_action = 'hide' and v_group.hidden_at is not null then
        raise exception 'this event is hidden already' using errcode = 'ZM409';
    elsif p_action = 'restore' and v_group.hidden_at is null then
        raise exception 'this event is not hidden' using errcode = 'ZM409';
    elsif p_action is null or p_action not in ('hide', 'restore') then
        raise exception 'an action on an event must be hide or restore' using errcode = 'ZM422';
    end if;
    update app.event_groups set hidden_at = case p_action when 'hide' then clock_timestamp() end
    where event_no = v_group.event_no;
    -- A new version of each row that names it, for caches of rows.
    update app.market_pages set event_no = event_no where event_no = v_group.event_no;
    return app.append_moderation(
        p_action, 'event', null, null, v_group.wallet_no, v_moderator_no, p_reason, null, v_group.event_no
    );
end
$$;
comment on function app.moderate_event_group is
'Hides or restores an event, not its markets, and returns the seq. ZM403: no moderator. ZM404: no such event. ZM409: nothing to change. ZM422: another action, or no reason.';

grant execute on function app.moderate_event_group to zmart_api;
