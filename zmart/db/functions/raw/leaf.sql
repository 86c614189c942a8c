create or replace function raw.leaf(p_seq bigint, p_kind text, p_digest bytea) returns bytea
language sql immutable parallel safe
return '\x01'::bytea || int8send(p_seq) || set_byte('\x00'::bytea, 0, array_position(array[
    'event', 'retracted', 'moved', 'finalized_through', 'ballot', 'comment', 'reaction', 'metadata', 'mart_stale',
    'moderation', 'profile', 'market_page', 'event_group'
], p_kind)) || p_digest;
comment on function raw.leaf is
'Returns the leaf of one entry in the chain of the log: version 1, seq (8 bytes), kind (1 byte, from 1 in the order of the check of raw.feed), digest (32 bytes).';

grant execute on function raw.leaf to zmart_ingest, zmart_keeper, zmart_api, analyst;
