{{ config(
    fold_key=['market_no', 'kind', 'wallet_no'],
    fold_scope=['market_no', 'wallet_no'],
    indexes=['wallet_no'],
) }}

with log as (
    select * from {{ log_events(['ProposalVoteSubmitted', 'DisputeVoteSubmitted'], signatures=true) }} as events
),

api as (
    select * from {{ log_ballots() }} as ballots
),

markets as (
    select * from {{ source('raw', 'markets_seen') }}
),

wallets as (
    select * from {{ source('raw', 'wallets_seen') }}
),

cast_ballots as (
    select
        market_no,
        wallet_no,
        case name when 'ProposalVoteSubmitted' then 'proposal' else 'dispute' end as kind,
        (payload ->> 'vote')::boolean as vote,
        {{ instant('clock') }} as cast_at,
        0 as source_order,
        signature as tx_signature,
        seq
    from log
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
    from api
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
),

final as (
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
    inner join markets on folded.market_no = markets.market_no
    inner join wallets on folded.wallet_no = wallets.wallet_no
)

select * from final
