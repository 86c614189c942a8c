-- The one way to a place in the log, for functions that hold raw.writer.
create or replace function raw.next_seq() returns bigint
language sql stable
begin atomic
    select coalesce(max(f.seq), 0) + 1 from raw.feed as f;
end;
comment on function raw.next_seq is 'The seq the next fact will have. True only for whoever holds raw.writer.';

grant execute on function raw.next_seq to zmart_ingest;
