-- Content ids that somebody here refers to; nothing else is fetched for anybody.

-- name: is_referenced
-- Whether a content id is a snapshot of ours, a question's document, or what a market's account refers to.
select
    exists (select from ops.snapshots as s where %(cid)s in (s.cid_v0, s.cid_v1))
    or exists (
        select from app.market_metadata as d
        inner join marts.markets as m on d.market_id = m.id and d.user_wallet = m.creator_wallet
        where d.question_cid = %(cid)s
    )
    or exists (select from marts.markets as m where m.ipfs_question_hash = %(cid)s)
    or exists (select from marts.markets as m where m.ipfs_evidence_hash = %(cid)s);
