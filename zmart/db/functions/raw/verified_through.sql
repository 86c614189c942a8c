create or replace function raw.verified_through() returns bigint
language sql stable parallel safe
begin atomic
    select max(c.to_slot) from raw.coverage as c where c.source = 'walk';
end;
comment on function raw.verified_through is
'Returns the slot up to which the log has every transaction that the confirmed chain lists. Null before the first walk.';

grant execute on function raw.verified_through to zmart_ingest, zmart_keeper, zmart_api, analyst;
