create or replace function app.delete_event_group(p_slug text, out slug text, out seq bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_wallet text := app.require_wallet();
    v_group app.event_groups;
    v_moved int [];
begin
    perform raw.take_writer();
    perform app.require_right_to_write();
    -- A hidden event keeps its markets from others, so the wallet that made it may delete it, though not change it.
    select g.* into v_group
    from app.event_slugs as s
    inner join app.event_groups as g on s.event_no = g.event_no
    where
        s.slug = p_slug and g.deleted_at is null and g.hidden_at is not null and g.wallet_no = app.current_wallet_no()
        and not exists (
            select from app.market_pages as p
            inner join marts.markets as m on p.market_no = m.market_no
            where p.event_no = g.event_no and m.creator_wallet <> v_wallet
        );
    if v_group.event_no is null then
        v_group := app.find_own_event_group(p_slug);
    end if;
    slug := v_group.slug;
    select coalesce(array_agg(p.market_no order by p.market_no), '{}') into v_moved
    from app.market_pages as p where p.event_no = v_group.event_no;
    update app.market_pages as p set event_no = null, event_place = null where p.event_no = v_group.event_no;
    update app.event_groups as g set deleted_at = clock_timestamp() where g.event_no = v_group.event_no;
    seq := app.append_event_entries(
        v_group.event_no, v_moved, raw.wallet_number(v_wallet), jsonb_build_array('delete', slug)
    );
end
$$;
comment on function app.delete_event_group is
'Deletes an event, a hidden one too, not its markets, and returns its slug and the last seq. ZM403: an event of others. ZM404: no such event.';

grant execute on function app.delete_event_group to zmart_api;
