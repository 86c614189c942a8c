{{ config(
    fold_key=['market_no', 'kind', 'wallet_no'],
    fold_scope=['market_no', 'wallet_no'],
    listens_to=['ProposalVoteSubmitted', 'DisputeVoteSubmitted', 'ballot'],
    combine={
        'market_id': 'any', 'user_wallet': 'any',
        'precedence': 'min', 'vote': 'first precedence', 'source': 'first precedence',
        'cast_at': 'first precedence', 'tx_signature': 'first precedence', 'last_seq': 'max',
    },
    indexes=['wallet_no'],
) }}

with cast_ballots as (
    select
        market_no,
        wallet_no,
        case name when 'ProposalVoteSubmitted' then 'proposal' else 'dispute' end as kind,
        (payload ->> 'vote')::boolean as vote,
        {{ instant('clock') }} as cast_at,
        0 as source_order,
        signature as tx_signature,
        seq
    from {{ log_events(['ProposalVoteSubmitted', 'DisputeVoteSubmitted']) }} as log
    union all
    select
        market_no,
        wallet_no,
        kind,
        vote,
        cast_at,
        1 as source_order,
        null as tx_signature,
        seq
    from {{ log_ballots() }} as api
),

-- The first ballot counts: by instant, the chain before the API at the same instant.
ranked as (
    select
        *,
        (extract(epoch from cast_at) * 1000000)::bigint * 2 + source_order as precedence
    from cast_ballots
),

folded as (
    select
        market_no,
        kind,
        wallet_no,
        min(precedence) as precedence,
        {{ first_by('vote::int', 'precedence') }} as vote,
        (array_agg(tx_signature order by precedence, tx_signature))[1] as tx_signature,
        max(seq) as last_seq
    from ranked
    group by market_no, kind, wallet_no
)

select
    folded.market_no,
    folded.kind,
    folded.wallet_no,
    markets.market_id,
    wallets.wallet as user_wallet,
    folded.precedence,
    folded.vote = 1 as vote,
    case folded.precedence % 2 when 0 then 'chain' else 'api' end as source,
    to_timestamp((folded.precedence / 2)::numeric / 1000000) as cast_at,
    folded.tx_signature,
    folded.last_seq
from folded
inner join {{ source('raw', 'markets_seen') }} as markets on folded.market_no = markets.market_no
inner join {{ source('raw', 'wallets_seen') }} as wallets on folded.wallet_no = wallets.wallet_no
