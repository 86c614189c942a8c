with classes as (
    select
        kind,
        arrayJoin([
            (1, on_chain_agree + on_chain_disagree, on_chain_agree),
            (2, off_chain_known_agree + off_chain_known_disagree, off_chain_known_agree),
            (3, off_chain_unseen_agree + off_chain_unseen_disagree, off_chain_unseen_agree)
        ]) as class,
        class.1 as number,
        class.2 as ballots,
        class.3 as agreeing
    from vote_tallies
),

counted as (
    select
        kind,
        number,
        countIf(ballots > 0) as markets_count,
        sum(ballots) as ballots_count,
        sum(agreeing) as agreeing_count
    from classes
    group by kind, number
)

select
    kind,
    ['on chain', 'here, known', 'here, unseen'][number] as voters,
    markets_count as markets,
    ballots_count as ballots,
    round(100 * ballots_count / sum(ballots_count) over (partition by kind), 1) as percent,
    round(100 * agreeing_count / nullif(ballots_count, 0), 1) as agreeing_percent
from counted
order by kind desc, number asc;
