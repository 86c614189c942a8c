create or replace function lmsr.price_yes(q_yes numeric, q_no numeric, b numeric) returns numeric
language sql immutable parallel safe
begin atomic
    select
        case
            when b < 100000000000 or not lmsr.is_u64(q_yes) or not lmsr.is_u64(q_no) then null
            when q_yes >= q_no then div(p.e * 1000000000, p.e + 1000000000)
            else div(1000000000 * 1000000000::numeric, p.e + 1000000000)
        end
    from (select lmsr.exp(div(abs(q_yes - q_no) * 1000000000, nullif(b, 0))) as e) as p;
end;
comment on function lmsr.price_yes is
'Returns the price of a YES share, nine decimals, from the shares of both sides and b. Null below b = 100 SOL or beyond an imbalance of 20 b. It decreases again beyond 3.46 b (protocol.md 2.6).';

grant execute on function lmsr.price_yes to zmart_ingest, zmart_keeper, zmart_api, analyst;
