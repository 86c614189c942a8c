create or replace function lmsr.exp(x numeric) returns numeric
language sql immutable parallel safe
return
case when x between 0 and 20000000000 then
    div(
        (1000000000 + div(x, 2) + div(div(x * x, 1000000000), 12)) * 1000000000,
        1000000000 - div(x, 2) + div(div(x * x, 1000000000), 12)
    )
end;
comment on function lmsr.exp is 'The program''s e to the x, a Padé approximant that peaks near 3.46; null beyond 20.0 (ExponentTooLarge).';

grant execute on function lmsr.exp to zmart_ingest, zmart_keeper, zmart_api, analyst;
