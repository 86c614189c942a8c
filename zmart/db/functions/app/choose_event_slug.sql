create or replace function app.choose_event_slug(p_event_no int, p_title text, p_current text) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
declare
    v_words text := app.slug_of(p_title, 'event');
    v_slug text;
    v_owner int;
begin
    foreach v_slug in array array[
        v_words, v_words || '-' || left(encode(sha256(convert_to(p_event_no || p_title, 'UTF8')), 'hex'), 8)
    ] loop
        select s.event_no into v_owner from app.event_slugs as s where s.slug = v_slug;
        if v_owner = p_event_no then
            return v_slug;
        elsif v_owner is null then
            -- Earlier slugs lead to the event for good, so their number has a bound.
            return case
                when (select count(*) from app.event_slugs as s where s.event_no = p_event_no) >= 20 then p_current
                else v_slug
            end;
        end if;
    end loop;
    raise exception 'other events have this title already. Choose another one' using errcode = 'ZM409';
end
$$;
comment on function app.choose_event_slug is
'Returns the slug of an event with this title. ZM409: others hold all that it could have. The caller must hold raw.writer.';
