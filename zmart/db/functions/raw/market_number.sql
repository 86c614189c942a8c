create or replace function raw.market_number(p_market text) returns int
language sql stable
begin atomic
    select m.market_no from raw.markets_seen as m where m.market_id = p_market or m.account = p_market;
end;
comment on function raw.market_number is 'Returns the number of a market, given its 64-hex id or its account, or null.';

grant execute on function raw.market_number to zmart_ingest;
