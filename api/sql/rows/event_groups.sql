-- name: event_brief
-- Event q of wallet w in a list.
q.slug,
q.title,
q.description,
w.wallet as user_wallet,
(select count(*) from app.market_pages as p where p.event_no = q.event_no) as markets_count,
q.created_at,
q.updated_at
