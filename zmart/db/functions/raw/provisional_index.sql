create or replace function raw.provisional_index(p_signature text) returns int
language sql immutable strict parallel safe
return ('x' || substr(encode(sha256(convert_to(p_signature, 'UTF8')), 'hex'), 1, 4))::bit(16)::int & 32767;
comment on function raw.provisional_index is
'Returns the index in its block that a transaction gets while the true one is unknown. It is the same for every delivery.';

grant execute on function raw.provisional_index to zmart_ingest;
