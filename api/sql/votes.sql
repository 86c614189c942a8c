-- Ballots and their tallies.

-- name: market_votes
-- A page of a market's ballots of one kind, the latest first, with the tally of all of them.
select {stated}, (
    select json_build_object(
        'votes', coalesce((
            select json_agg(row_to_json(r)) from (
                select {vote}
                from marts.ballots as b
                where b.market_no = m.market_no and b.kind = %(kind)s
                order by b.cast_at desc, b.wallet_no asc
                limit %(limit)s offset %(offset)s
            ) as r
        ), '[]'),
        'stats', json_build_object(
            'likes', coalesce(y.agree, 0),
            'dislikes', coalesce(y.disagree, 0),
            'total', coalesce(y.total, 0),
            'approval_rate', round(coalesce(100.0 * y.agree / nullif(y.total, 0), 0), 2)::text,
            'on_chain', json_build_object(
                'likes', coalesce(y.on_chain_agree, 0), 'dislikes', coalesce(y.on_chain_disagree, 0)
            ),
            'off_chain_known', json_build_object(
                'likes', coalesce(y.off_chain_known_agree, 0), 'dislikes', coalesce(y.off_chain_known_disagree, 0)
            ),
            'off_chain_unseen', json_build_object(
                'likes', coalesce(y.off_chain_unseen_agree, 0), 'dislikes', coalesce(y.off_chain_unseen_disagree, 0)
            ),
            'voting_closes_at', y.voting_closes_at
        ),
        'limit', %(limit)s::int,
        'offset', %(offset)s::int,
        'market_id', m.id,
        'type', %(kind)s::text,
        'as_of', {as_of}
    )
    from marts.markets as m
    left join marts.vote_tallies as y on m.market_no = y.market_no and y.kind = %(kind)s
    where m.is_known and m.market_no = {the_market}
) as body
from ops.as_of(array['ballots', 'markets']) as a;

-- name: vote_counts
-- A market's tallies of both kinds, each also in the words of the earlier tests.
select {stated}, (
    select json_build_object(
        'market_id', m.id,
        'counts', json_build_object(
            'proposal', json_build_object(
                'agree', coalesce(p.agree, 0), 'disagree', coalesce(p.disagree, 0), 'total', coalesce(p.total, 0)
            ),
            'dispute', json_build_object(
                'agree', coalesce(d.agree, 0), 'disagree', coalesce(d.disagree, 0), 'total', coalesce(d.total, 0)
            )
        ),
        'proposal_votes', json_build_object('likes', coalesce(p.agree, 0), 'dislikes', coalesce(p.disagree, 0)),
        'dispute_votes', json_build_object('agrees', coalesce(d.agree, 0), 'disagrees', coalesce(d.disagree, 0)),
        'as_of', {as_of}
    )
    from marts.markets as m
    -- Inside, the condition on the market reaches the ballots' index.
    left join lateral (
        select v.agree, v.disagree, v.total from marts.vote_tallies as v
        where v.market_no = m.market_no and v.kind = 'proposal'
    ) as p on true
    left join lateral (
        select v.agree, v.disagree, v.total from marts.vote_tallies as v
        where v.market_no = m.market_no and v.kind = 'dispute'
    ) as d on true
    where m.is_known and m.market_no = {the_market}
) as body
from ops.as_of(array['ballots', 'markets']) as a;

-- name: vote_counts_of_kind
-- A market's tally of one kind, as clients of the earlier vote aggregator read it.
select {stated}, (
    select json_build_object(
        'success', true,
        'marketId', m.id,
        'counts', case %(kind)s
            when 'proposal' then json_build_object(
                'likes', coalesce(y.agree, 0), 'dislikes', coalesce(y.disagree, 0), 'total', coalesce(y.total, 0)
            )
            else json_build_object(
                'agrees', coalesce(y.agree, 0), 'disagrees', coalesce(y.disagree, 0), 'total', coalesce(y.total, 0)
            )
        end,
        'as_of', {as_of}
    )
    from marts.markets as m
    left join marts.vote_tallies as y on m.market_no = y.market_no and y.kind = %(kind)s
    where m.is_known and m.market_no = {the_market}
) as body
from ops.as_of(array['ballots', 'markets']) as a;

-- name: ballot_of_wallet
-- The vote of a wallet in a market, if it has cast a ballot of this kind.
select b.vote from marts.ballots as b
where b.market_no = {the_market} and b.wallet_no = {the_wallet} and b.kind = %(kind)s;
