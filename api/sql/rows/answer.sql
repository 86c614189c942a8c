-- name: stated
-- What an answer says about itself, taken from ops.as_of as a.
a.epoch, a.seq, raw.mark_of(a.seq), a.slot, a.commitment

-- name: server
-- Where versions of rows are unique beside the epoch: at one start of the server.
pg_postmaster_start_time()::text as started_at

-- name: feed_position
-- The position of ops.as_of as a, as clients send it back in `since`.
a.epoch || ':' || a.seq || coalesce(':' || raw.mark_of(a.seq), '')

-- name: as_of
-- The same as an object in the body.
json_build_object(
    'epoch', a.epoch, 'seq', a.seq, 'position', {feed_position}, 'slot', a.slot, 'commitment', a.commitment
)

-- name: cursor
-- Where the next page of p begins: sort, key and number of the last row shown, in base64url.
translate(encode(convert_to(json_build_array(%(sort)s::text, p.sort_key::text, p.number)::text, 'UTF8'), 'base64'),
    E'+/=\n', '-_')

-- name: for_each_value
-- A statement for many values of some parameters: its columns after the number of the values, from 1.
select asked.number, answer.*
from unnest({values}) with ordinality as asked ({names}, number)
cross join lateral (
    {one}
) as answer

-- name: question
-- A market's question d.question, or a placeholder of legal length while nobody has told us one.
coalesce(d.question, 'Market ' || left(m.id, 8) || '…')
