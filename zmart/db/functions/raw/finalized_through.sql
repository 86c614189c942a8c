create or replace function raw.finalized_through() returns bigint
language sql stable parallel safe
begin atomic
    select max(f.ref) from raw.feed as f where f.kind = 'finalized_through';
end;
comment on function raw.finalized_through is 'Returns the slot up to which the finalized chain and this log are equal. Null before the first proof.';

grant execute on function raw.finalized_through to zmart_ingest, zmart_keeper, zmart_api, analyst;
