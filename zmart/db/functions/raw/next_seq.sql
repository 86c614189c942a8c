-- Functions that append to the feed and hold raw.writer get their seq here.
create or replace function raw.next_seq() returns bigint
language sql stable
begin atomic
    select coalesce(max(f.seq), 0) + 1 from raw.feed as f;
end;
comment on function raw.next_seq is 'Returns the seq of the next entry. It is valid only while the caller holds raw.writer.';

grant execute on function raw.next_seq to zmart_ingest;
