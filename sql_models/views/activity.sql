-- Every event of the program as a sentence, straight from the log.
-- A subquery, not a CTE: Postgres plans a view with a CTE separately, so that the order, limit and joins of a query would not
-- use the log's indexes.
select
    seq,
    order_key,
    market_no,
    wallet_no,
    market_id,
    on_chain_address,
    user_wallet,
    name as event,
    case
        when name in ('SharesBought', 'SharesSold') then 'trade'
        when name = 'MarketCreated' then 'creation'
        when name in ('MarketResolved', 'MarketFinalized', 'MarketCancelled') then 'resolution'
        when name in ('DisputeInitiated', 'DisputeAggregated') then 'dispute'
        when name in ('ProposalVoteSubmitted', 'DisputeVoteSubmitted') then 'vote'
        when name in ('ProposalAggregated', 'ProposalApproved', 'MarketActivated') then 'approval'
        when name in ('WinningsClaimed', 'LiquidityWithdrawn') then 'payout'
        else 'protocol'
    end as type,
    case name
        when 'SharesBought' then 'bought ' || whole_shares || ' ' || side || ' shares'
        when 'SharesSold' then 'sold ' || whole_shares || ' ' || side || ' shares'
        when 'MarketCreated' then 'proposed the market'
        when 'ProposalVoteSubmitted'
            then case when (payload ->> 'vote')::boolean then 'liked the proposal' else 'disliked the proposal' end
        when 'ProposalAggregated'
            then
                'counted the proposal: ' || (payload ->> 'likes') || ' likes, ' || (payload ->> 'dislikes') || ' dislikes'
        when 'ProposalApproved' then 'approved the proposal'
        when 'MarketActivated' then 'opened trading'
        when 'MarketResolved' then 'proposed the outcome ' || side
        when 'DisputeInitiated' then 'disputed the proposed outcome'
        when 'DisputeVoteSubmitted'
            then
                case
                    when (payload ->> 'vote')::boolean then 'agreed with the dispute' else 'disagreed with the dispute'
                end
        when 'DisputeAggregated'
            then
                case
                    when (payload ->> 'dispute_succeeded')::boolean
                        then 'upheld the dispute: '
                    else 'rejected the dispute, ending without an outcome: '
                end
                || (payload ->> 'agrees') || ' agree, ' || (payload ->> 'disagrees') || ' disagree'
        when 'MarketFinalized'
            then
                'finalized the outcome ' || case
                    when payload ->> 'final_outcome' is null then 'INVALID'
                    when (payload ->> 'final_outcome')::boolean then 'YES' else 'NO'
                end
        when 'WinningsClaimed'
            then
                case when payload ->> 'outcome' is null then 'took the refund' else 'claimed winnings' end
        when 'LiquidityWithdrawn' then 'withdrew the liquidity'
        when 'MarketCancelled' then 'cancelled the market'
        when 'GlobalConfigInitialized' then 'initialised the protocol'
        when 'ConfigUpdated' then 'changed the protocol''s configuration'
        when 'ProtocolPauseStatusChanged' then
            case when (payload ->> 'is_paused')::boolean then 'paused the protocol' else 'resumed the protocol' end
    end as action,
    lamports::numeric(39, 0) as amount,
    signature as tx_signature,
    ordinal,
    {{ instant('clock') }} as block_time,
    seq as last_seq
from (
    select
        events.*,
        transactions.signature,
        markets.market_id,
        markets.account as on_chain_address,
        wallets.wallet as user_wallet,
        case when (events.payload ->> 'outcome')::boolean then 'YES' else 'NO' end as side,
        ((events.payload ->> 'shares')::numeric / 1000000000)::numeric(40, 3) as whole_shares,
        coalesce(
            events.payload ->> 'cost', events.payload ->> 'proceeds', events.payload ->> 'amount'
        )::numeric as lamports
    from {{ source('raw', 'events') }} as events
    left join {{ source('raw', 'markets_seen') }} as markets on events.market_no = markets.market_no
    left join {{ source('raw', 'wallets_seen') }} as wallets on events.wallet_no = wallets.wallet_no
    left join {{ source('raw', 'transactions') }} as transactions on events.transaction_no = transactions.transaction_no
    where events.retracted_at is null
) as events
