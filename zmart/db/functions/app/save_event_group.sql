create or replace function app.save_event_group(
    -- The slug of the event to replace; null for a new one.
    p_slug text, p_title text, p_description text, p_markets text [], out slug text, out seq bigint
)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_wallet text := app.require_wallet();
    v_wallet_no int;
    v_group app.event_groups;
    v_event_no int;
    v_markets int [];
    v_unknown text;
    v_moved int [];
begin
    perform raw.take_writer();
    perform app.require_right_to_write();
    v_wallet_no := raw.wallet_number(v_wallet);
    if p_slug is not null then
        v_group := app.find_own_event_group(p_slug);
    end if;
    select array_agg(m.market_no order by a.place), min(a.name) filter (where m.market_no is null)
    into v_markets, v_unknown
    from unnest(p_markets) with ordinality as a (name, place)
    left join marts.markets as m on raw.market_number(a.name) = m.market_no and m.is_known;
    if v_unknown is not null then
        raise exception 'Market not found: %', v_unknown using errcode = 'ZM404';
    elsif coalesce(cardinality(v_markets), 0) not between 1 and 100 then
        raise exception 'an event has 1 to 100 markets' using errcode = 'ZM422';
    elsif (select count(distinct n.market_no) from unnest(v_markets) as n (market_no)) < cardinality(v_markets) then
        raise exception 'a market can be in an event only once' using errcode = 'ZM422';
    elsif not app.is_moderator() and exists (
        select from marts.markets as m where m.market_no = any(v_markets) and m.creator_wallet <> v_wallet
    ) then
        raise exception 'only moderators can put markets of others into an event' using errcode = 'ZM403';
    elsif exists (
        select from app.market_pages as p
        where p.market_no = any(v_markets) and p.event_no <> coalesce(v_group.event_no, 0)
    ) then
        raise exception 'a market is in one event at a time. Take it out of the other one first' using errcode = 'ZM409';
    elsif p_slug is null and not app.is_moderator() and (
        select count(*) from app.event_groups as g where g.wallet_no = v_wallet_no and g.deleted_at is null
    ) >= 100 then
        raise exception 'a wallet has at most 100 events. Delete one first' using errcode = 'ZM409';
    end if;
    v_event_no := coalesce(v_group.event_no, (select coalesce(max(g.event_no), 0) + 1 from app.event_groups as g));
    slug := app.choose_event_slug(v_event_no, p_title, v_group.slug);
    if p_slug is null then
        insert into app.event_groups (event_no, slug, title, description, wallet_no)
        values (v_event_no, slug, p_title, p_description, v_wallet_no);
    else
        update app.event_groups as g
        set slug = save_event_group.slug, title = p_title, description = p_description, updated_at = clock_timestamp()
        where g.event_no = v_event_no;
    end if;
    insert into app.event_slugs (slug, event_no) values (slug, v_event_no) on conflict do nothing;
    -- The markets that leave or join: their pages change, too.
    select coalesce(array_agg(c.market_no order by c.market_no), '{}') into v_moved
    from (
        select p.market_no from app.market_pages as p where p.event_no = v_event_no and p.market_no <> all(v_markets)
        union all
        select n.market_no from unnest(v_markets) as n (market_no)
        where not exists (
            select from app.market_pages as p where p.market_no = n.market_no and p.event_no = v_event_no
        )
    ) as c;
    update app.market_pages as p set event_no = null, event_place = null
    where p.event_no = v_event_no and p.market_no <> all(v_markets);
    insert into app.market_pages (market_no, event_no, event_place)
    select n.market_no, v_event_no, n.place from unnest(v_markets) with ordinality as n (market_no, place)
    on conflict (market_no) do update set event_no = excluded.event_no, event_place = excluded.event_place;
    seq := app.append_event_entries(
        v_event_no, v_moved, v_wallet_no, jsonb_build_array('save', slug, p_title, p_description, v_markets)
    );
end
$$;
comment on function app.save_event_group is
'Makes an event of markets, or replaces one, and returns its slug and the last seq. ZM403: markets or an event of others. ZM404: no such event or market. ZM409: a market of another event, or too many events. ZM422: no market, too many, or one twice.';

grant execute on function app.save_event_group to zmart_api;
