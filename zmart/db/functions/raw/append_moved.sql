create or replace function raw.append_moved(p_seqs bigint [], p_market_nos int [], p_wallet_nos int []) returns bigint
language sql volatile set search_path = pg_catalog, pg_temp
begin atomic
    select raw.append_entries(
        array_fill('moved'::text, array[coalesce(cardinality(p_seqs), 0)]), p_seqs, p_market_nos, p_wallet_nos,
        array_fill(null::bytea, array[coalesce(cardinality(p_seqs), 0)])
    );
end;
comment on function raw.append_moved is
'Append an entry for each of these events, whose place or meaning has changed; the seq of the last. Call it holding raw.writer.';

grant execute on function raw.append_moved to zmart_ingest;
