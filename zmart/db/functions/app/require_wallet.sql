create or replace function app.require_wallet() returns text
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
begin
    if app.current_wallet() is null then
        raise exception 'no wallet is signed in. Sign in first' using errcode = 'ZM403';
    end if;
    return app.current_wallet();
end
$$;
comment on function app.require_wallet is 'Returns the wallet for which this request acts. ZM403: no wallet is signed in.';
