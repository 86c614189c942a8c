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
