create or replace function raw.reference_digest(p_ref bigint) returns bytea
language sql immutable parallel safe
return sha256(coalesce(int8send(p_ref), ''::bytea));
comment on function raw.reference_digest is
'The digest of an entry that has no text of its own: SHA-256 of ref in 8 bytes, or of nothing where ref is null.';

grant execute on function raw.reference_digest to zmart_ingest, zmart_keeper, zmart_api, analyst;
