-- Every vote event has a VoteRecord, which the program creates once per wallet, market and kind (protocol.md 1.2); API
-- ballots add wallets without one. Returned rows are tallies with another number of wallets.
with voters as (
    select
        market_no,
        wallet_no,
        case name when 'ProposalVoteSubmitted' then 'proposal' else 'dispute' end as kind
    from {{ source('raw', 'events') }}
    where retracted_at is null and name in ('ProposalVoteSubmitted', 'DisputeVoteSubmitted')
    union distinct
    select
        market_no,
        wallet_no,
        kind
    from {{ source('app', 'ballots') }}
),

counted as (
    select
        market_no,
        kind,
        count(*) as wallets
    from voters
    group by market_no, kind
),

late as (
    select
        ballots.market_no,
        count(*) as wallets
    from {{ ref('ballots') }} as ballots
    inner join {{ ref('vote_tallies') }} as tallies on ballots.market_no = tallies.market_no and ballots.kind = tallies.kind
    where ballots.kind = 'dispute' and ballots.cast_at >= tallies.voting_closes_at
    group by ballots.market_no
)

select
    counted.*,
    tallies.total
from counted
inner join {{ ref('vote_tallies') }} as tallies on counted.market_no = tallies.market_no and counted.kind = tallies.kind
left join late on counted.market_no = late.market_no and counted.kind = 'dispute'
where
    tallies.total <> counted.wallets - coalesce(late.wallets, 0)
    or tallies.agree + tallies.disagree <> tallies.total
    or tallies.on_chain_agree + tallies.off_chain_known_agree + tallies.off_chain_unseen_agree <> tallies.agree
    or tallies.on_chain_disagree + tallies.off_chain_known_disagree + tallies.off_chain_unseen_disagree <> tallies.disagree
