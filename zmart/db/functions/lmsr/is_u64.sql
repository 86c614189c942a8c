create or replace function lmsr.is_u64(x numeric) returns boolean
language sql immutable parallel safe
return x between 0 and 18446744073709551615;
comment on function lmsr.is_u64 is 'Returns whether the number fits the program''s u64.';

grant execute on function lmsr.is_u64 to zmart_ingest, zmart_keeper, zmart_api, analyst;
