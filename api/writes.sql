-- name: redeem_nonce
-- Use a nonce; ZM409 if it was used before.
select app.redeem_nonce(%(nonce)s, %(expires_at)s);

-- name: open_session
-- Sign in: use the nonce and start a family of refresh tokens.
select app.open_session(%(nonce)s, %(nonce_expires_at)s, %(refresh_hash)s, %(expires_at)s);

-- name: rotate_session
-- Replace a refresh token by the next one; returns the outcome.
select r.outcome from app.rotate_session(%(refresh_hash)s, %(next_hash)s, %(expires_at)s) as r;

-- name: close_session
-- Revoke a refresh token and all of its family.
select app.close_session(%(refresh_hash)s);

-- name: cast_ballot
-- Cast a ballot whose text was signed; returns the seq of its log entry.
select app.cast_signed_ballot(
    %(market)s, %(kind)s, %(vote)s, %(message)s, %(signature)s,
    %(nonce)s, %(nonce_expires_at)s, %(eligibility)s, %(envelope)s
);

-- name: set_market_metadata
-- Set a market's metadata; returns the seq of its log entry, or null before the market exists.
select app.set_market_metadata(
    %(market_id)s, %(question)s, %(description)s, %(category)s, %(tags)s, %(ends_at)s, %(question_cid)s
);

-- name: create_api_key
-- Store the hash of a new API key; ZM409 if the wallet has too many.
select r.key_id, r.created_at
from app.create_api_key(%(name)s, %(secret_hash)s, %(scopes)s, %(expires_at)s, %(most)s) as r;

-- name: list_api_keys
-- The wallet's API keys, newest first.
select app.list_api_keys();

-- name: revoke_api_key
-- Revoke an API key; ZM404 if the wallet has no such key.
select app.revoke_api_key(%(key_id)s);

-- name: claim_idempotency_key
-- Claim an Idempotency-Key, or return the answer to the request that came with it first.
select r.outcome, r.status, r.content_type, r.body
from app.claim_idempotency_key(%(key)s, %(request_hash)s, %(claim_seconds)s, %(keep_seconds)s) as r;

-- name: mark_idempotent_write
-- Record in the same transaction that the request with this key writes.
select app.mark_idempotent_write(%(key)s);

-- name: answer_idempotency_key
-- Store the answer for repeats; without a status, free the key.
select app.answer_idempotency_key(%(key)s, %(status)s, %(content_type)s, %(body)s);
