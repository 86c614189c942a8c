create or replace function app.require_moderator(p_reason text) returns int
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
begin
    perform app.require_wallet();
    if not app.is_moderator() then
        raise exception 'only wallets of MODERATOR_WALLETS can moderate' using errcode = 'ZM403';
    end if;
    if p_reason is null or length(btrim(p_reason)) = 0 or length(p_reason) > 500 then
        raise exception 'a reason must have 1 to 500 characters' using errcode = 'ZM422';
    end if;
    perform raw.take_writer();
    return raw.wallet_number(app.current_wallet());
end
$$;
comment on function app.require_moderator is
'Takes raw.writer and returns the number of the current wallet, a moderator. ZM403: it is none. ZM422: no reason.';
