create or replace function app.is_market_creator(p_market_no int) returns boolean
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (
        select from marts.markets as m
        where m.market_no = p_market_no and m.is_known and m.creator_wallet = app.current_wallet()
    );
end
$$;
comment on function app.is_market_creator is 'Returns whether this request acts for the creator of a market.';
