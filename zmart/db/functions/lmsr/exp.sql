create or replace function lmsr.exp(x numeric) returns numeric
language sql immutable parallel safe
return
case when x between 0 and 20000000000 then
    div(
        (1000000000 + div(x, 2) + div(div(x * x, 1000000000), 12)) * 1000000000,
        1000000000 - div(x, 2) + div(div(x * x, 1000000000), 12)
    )
end;
comment on function lmsr.exp is 'Returns the program''s e to the x, a Padé approximant with its maximum near 3.46. Null beyond 20.0 (ExponentTooLarge).';

grant execute on function lmsr.exp to zmart_ingest, zmart_keeper, zmart_api, analyst;
