-- Content ids that the log or the marts refer to; the API fetches no others.

-- name: is_referenced
-- Whether a content id belongs to one of our snapshots, to a question's document, or to a market's account.
select
    exists (select from ops.snapshots as s where %(cid)s in (s.cid_v0, s.cid_v1))
    or exists (
        select from app.market_metadata as d
        inner join marts.markets as m on d.market_id = m.id and d.user_wallet = m.creator_wallet
        where d.question_cid = %(cid)s
    )
    or exists (select from marts.markets as m where m.ipfs_question_hash = %(cid)s)
    or exists (select from marts.markets as m where m.ipfs_evidence_hash = %(cid)s)
