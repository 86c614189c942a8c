-- The plain slug is for markets that exist: whoever prepares one must not be able to take the words of others.
create or replace function app.assign_market_slug(p_market_id text, p_wallet_no int, p_question text, p_exists boolean)
returns text
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    v_words text := app.slug_of(p_question, 'market');
    v_slug text;
    v_owner app.market_slugs;
begin
    -- The later ones are for markets with the same words; together with the primary key they make every slug unique.
    foreach v_slug in array array[
        v_words,
        v_words || '-' || left(p_market_id, 8),
        v_words || '-' || left(encode(sha256(convert_to(p_market_id || p_wallet_no, 'UTF8')), 'hex'), 16)
    ] loop
        continue when v_slug = v_words and not p_exists;
        select * into v_owner from app.market_slugs where slug = v_slug;
        if v_owner.slug is null then
            -- Earlier slugs lead to the market for good, so their number has a bound.
            if (select count(*) from app.market_slugs where market_id = p_market_id and wallet_no = p_wallet_no) >= 20 then
                return (select m.slug from app.market_metadata as m
                        where m.market_id = p_market_id and m.wallet_no = p_wallet_no);
            end if;
            insert into app.market_slugs (slug, market_id, wallet_no) values (v_slug, p_market_id, p_wallet_no);
            return v_slug;
        elsif v_owner.market_id = p_market_id and v_owner.wallet_no = p_wallet_no then
            return v_slug;
        end if;
    end loop;
    return null;
end
$$;
comment on function app.assign_market_slug is
'Returns the slug of a market with this question, and stores it if it is new. Null if others hold all that it could have. The caller must hold raw.writer.';
