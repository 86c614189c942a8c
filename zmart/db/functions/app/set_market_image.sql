create or replace function app.set_market_image(
    p_market text, p_digest bytea, p_content bytea, p_media_type text, p_width int, p_height int,
    out market_id text, out seq bigint
)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_wallet text := app.require_wallet();
    v_wallet_no int;
    v_market_no int;
    v_creator text;
    v_before bytea;
begin
    perform raw.take_writer();
    perform app.require_right_to_write();
    v_wallet_no := raw.wallet_number(v_wallet);
    v_market_no := raw.market_number(p_market);
    select m.id, m.creator_wallet into market_id, v_creator
    from marts.markets as m where m.market_no = v_market_no and m.is_known;
    if v_creator is null then
        raise exception 'Market not found: %', p_market using errcode = 'ZM404';
    elsif v_creator <> v_wallet and not app.is_moderator() then
        raise exception 'only the creator of a market, or a moderator, can change its image' using errcode = 'ZM403';
    end if;
    select image_digest into v_before from app.market_pages where market_no = v_market_no;
    if p_digest is null and v_before is null then
        raise exception 'this market has no image' using errcode = 'ZM409';
    elsif exists (select from app.images as i where i.digest = p_digest and i.hidden_at is not null) then
        raise exception 'a moderator has hidden this image' using errcode = 'ZM409';
    elsif p_digest is not null then
        insert into app.images (digest, content, media_type, width, height, wallet_no)
        values (p_digest, p_content, p_media_type, p_width, p_height, v_wallet_no)
        on conflict (digest) do nothing;
    end if;
    insert into app.market_pages (market_no, image_digest) values (v_market_no, p_digest)
    on conflict (market_no) do update set image_digest = excluded.image_digest;
    -- The bytes stay as long as a market shows them, so that there are never more images than markets.
    delete from app.images as i
    where
        i.digest = v_before and v_before is distinct from p_digest and i.hidden_at is null
        and not exists (select from app.market_pages as p where p.image_digest = i.digest);
    seq := raw.next_seq();
    perform raw.append_entries(
        array['market_page'], array[seq], array[v_market_no], array[v_wallet_no],
        array[sha256(convert_to(jsonb_build_array('image', encode(p_digest, 'hex'))::text, 'UTF8'))]
    );
    perform folds.fold(seq - 1, seq);
    notify zmart_feed;
end
$$;
comment on function app.set_market_image is
'Sets the image of a market, or removes it where p_digest is null, and returns the market''s id and the seq. ZM403: neither its creator nor a moderator. ZM404: no such market. ZM409: no image to remove, or one that a moderator has hidden.';

grant execute on function app.set_market_image to zmart_api;
