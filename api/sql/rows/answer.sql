-- name: stated
-- The response's as_of values, from ops.as_of as a.
a.epoch, a.seq, raw.mark_of(a.seq), a.slot, a.commitment

-- name: server
-- The scope in which versions of rows are unique, beside the epoch: one start of the server.
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
-- The cursor of the page after p: sort, key and number of the last row shown, in base64url.
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
-- A market's question d.question, or a placeholder of legal length until its creator has set one.
coalesce(d.question, 'Market ' || left(m.id, 8) || '…')
