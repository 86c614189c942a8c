-- name: vote
-- One ballot b in the format of the older vote tables (protocol.md 9.5), with the place where it was cast.
b.market_id || ':' || b.kind || ':' || b.user_wallet as id,
b.market_id,
b.user_wallet,
b.kind as vote_type,
b.vote,
b.cast_at as voted_at,
b.cast_at as created_at,
b.source,
b.tx_signature,
b.last_seq
