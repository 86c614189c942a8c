create or replace function app.require_content(p_content text) returns void
language plpgsql immutable set search_path = pg_catalog, pg_temp
as $$
begin
    if p_content is null or length(btrim(p_content, E' \t\n\r')) = 0 or length(p_content) > 1000 then
        raise exception 'a comment must have 1 to 1000 characters' using errcode = 'ZM422';
    end if;
end
$$;
comment on function app.require_content is 'Raises ZM422 unless a text can be a comment.';
