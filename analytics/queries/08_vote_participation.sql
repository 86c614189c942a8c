-- Who votes: wallets on chain, wallets off chain that were seen on chain before the vote, or other wallets off chain?
-- A wallet counts once for each market and kind, by its first vote. The classes add up to the tallies.
with classes as (
    select
        tallies.kind,
        tallies.market_no,
        tallies.agree,
        classes.class,
        classes.ballots,
        classes.agreeing
    from vote_tallies as tallies
    cross join lateral (
        values
        (1, on_chain_agree + on_chain_disagree, on_chain_agree),
        (2, off_chain_known_agree + off_chain_known_disagree, off_chain_known_agree),
        (3, off_chain_unseen_agree + off_chain_unseen_disagree, off_chain_unseen_agree)
    ) as classes (class, ballots, agreeing)
)

select
    kind,
    (array['on chain', 'here, known', 'here, unseen'])[class] as voters,
    count(*) filter (where ballots > 0) as markets,
    sum(ballots) as ballots,
    round(100 * sum(ballots) / sum(sum(ballots)) over (partition by kind), 1) as percent,
    round(100 * sum(agreeing) / nullif(sum(ballots), 0), 1) as agreeing_percent
from classes
group by kind, class
order by kind desc, class asc;
