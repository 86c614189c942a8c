create or replace function raw.verified_through() returns bigint
language sql stable parallel safe
begin atomic
    select max(c.to_slot) from raw.coverage as c where c.source = 'walk';
end;
comment on function raw.verified_through is
'The slot up to which nothing the confirmed chain lists is missing here; null before the first walk.';

grant execute on function raw.verified_through to zmart_ingest, zmart_keeper, zmart_api, analyst;
