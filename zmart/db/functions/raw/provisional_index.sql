create or replace function raw.provisional_index(p_signature text) returns int
language sql immutable strict parallel safe
return ('x' || substr(encode(sha256(convert_to(p_signature, 'UTF8')), 'hex'), 1, 4))::bit(16)::int & 32767;
comment on function raw.provisional_index is
'Where a transaction stands in its block while its index is unknown: the same for every delivery of it.';

grant execute on function raw.provisional_index to zmart_ingest;
