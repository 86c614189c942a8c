-- name: redeem_nonce
-- Use a nonce up; ZM409 when it was used before.
select app.redeem_nonce(%(nonce)s, %(expires_at)s)

-- name: open_session
-- Sign in: use the nonce up, begin a family of refresh tokens.
select app.open_session(%(nonce)s, %(nonce_expires_at)s, %(refresh_hash)s, %(expires_at)s)

-- name: rotate_session
-- Replace a refresh token by the next one; says how that went.
select r.outcome from app.rotate_session(%(refresh_hash)s, %(next_hash)s, %(expires_at)s) as r

-- name: close_session
-- Revoke a refresh token and all of its family.
select app.close_session(%(refresh_hash)s)

-- name: cast_ballot
-- A ballot whose text was signed; its place in the log.
select app.cast_signed_ballot(
    %(market)s, %(kind)s, %(vote)s, %(message)s, %(signature)s,
    %(nonce)s, %(nonce_expires_at)s, %(eligibility)s, %(envelope)s
)

-- name: set_market_metadata
-- Tell a market's question; its place in the log, or null before the market exists.
select app.set_market_metadata(
    %(market_id)s, %(question)s, %(description)s, %(category)s, %(tags)s, %(ends_at)s, %(question_cid)s
)
