-- Statements about transactions, and the rate limit.

-- name: lease_allowance
-- A block of a client's allowance, which this process counts down.
select granted, remaining, resets_in
from app.lease_allowance(%(bucket)s, %(limit)s, %(wanted)s, %(window)s);

-- name: find_api_key
-- The valid API key with this SHA-256, in hex; one row of nulls if there is none.
select key_id, wallet, scopes, expires_at from app.find_api_key(%(secret_hash)s);

-- name: followed_transaction
-- One transaction as in the log, with its events.
select {stated}, (
    select json_build_object(
        'slot', t.slot,
        'is_final', raw.is_final(t.signature, t.slot),
        'is_retracted', t.retracted_at is not null,
        'err', t.err,
        'events', coalesce((
            select json_agg(json_build_object('seq', e.seq, 'name', e.name, 'market_id', m.market_id) order by e.ordinal)
            from raw.events as e
            left join raw.markets_seen as m on e.market_no = m.market_no
            where e.transaction_no = t.transaction_no and e.retracted_at is null
        ), '[]')
    )
    from raw.transactions as t where t.signature = %(signature)s
) as body
from ops.as_of(array['markets']) as a;
