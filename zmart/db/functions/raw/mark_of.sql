create or replace function raw.mark_of(p_seq bigint) returns text
language sql stable parallel safe
begin atomic
    select encode(substr(c.value, 1, 8), 'hex')
    from raw.commits as c
    where c.last_seq >= p_seq and p_seq > 0
    order by c.last_seq
    limit 1;
end;
comment on function raw.mark_of is
'The mark of a position: 16 hex digits of the chain value of the append that holds seq. Null for seq 0 and for entries that are not sealed yet.';

grant execute on function raw.mark_of to zmart_ingest, zmart_keeper, zmart_api, analyst;
