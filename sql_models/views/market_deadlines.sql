-- The next steps that are possible in each market, with the role that may take them and the time from which. The program reads
-- its *current* configuration, so a change of it moves these deadlines for running markets, too. `now` is the newest instant of
with known as (
    select
        markets.*,
        config.proposal_approval_threshold,
        config.dispute_success_threshold,
        config.dispute_period,
        config.last_seq as config_seq,
        markets.resolution_proposed_at + make_interval(secs => least(config.dispute_period, 3153600000)) as dispute_closes_at,
        markets.dispute_initiated_at + make_interval(secs => settings.value) as voting_closes_at,
        markets.created_at + make_interval(secs => 315360000) as dies_at,
        div(markets.proposal_likes::numeric * 10000, nullif(markets.proposal_total_votes, 0))::int as approval_bps,
        div(markets.dispute_agree::numeric * 10000, nullif(markets.dispute_total_votes, 0))::int as agreement_bps,
        {{ newest_instant() }} as now_at
    from {{ ref('markets') }} as markets
    cross join (
        select * from {{ ref('protocol_config_in_force') }}
        order by order_key desc limit 1
    ) as config
    cross join {{ source('ops', 'settings') }} as settings
    where settings.name = 'dispute_voting_window_seconds' and markets.is_known
)

select
    market_no,
    id as market_id,
    state,
    case state
        when 'PROPOSED' then 'approve_proposal'
        when 'APPROVED' then 'activate_market'
        when 'ACTIVE' then 'resolve_market'
        when 'RESOLVING' then 'finalize_market'
        when 'DISPUTED' then 'finalize_market'
        when 'FINALIZED' then 'claim_winnings'
    end as next_step,
    case state
        when 'PROPOSED' then 'admin'
        when 'APPROVED' then 'admin or creator'
        when 'ACTIVE' then 'anyone'
        when 'RESOLVING' then 'backend authority'
        when 'DISPUTED' then 'backend authority'
        when 'FINALIZED' then 'holders'
    end as next_actor,
    case state
        when 'ACTIVE' then activated_at
        when 'RESOLVING' then dispute_closes_at
        when 'DISPUTED' then voting_closes_at
        when 'FINALIZED' then coalesce(finalized_at, resolved_at)
    end as opens_at,
    case when state in ('ACTIVE', 'RESOLVING', 'DISPUTED') then dies_at end as deadline_at,
    case state
        when 'PROPOSED' then coalesce(approval_bps >= proposal_approval_threshold, false)
        when 'APPROVED' then true
        when 'ACTIVE' then now_at > activated_at and now_at <= dies_at
        when 'RESOLVING' then now_at >= dispute_closes_at and now_at <= dies_at
        when 'DISPUTED' then now_at >= voting_closes_at and now_at <= dies_at
        when 'FINALIZED' then true
        else false
    end as is_due,
    proposal_approval_threshold as approval_threshold_bps,
    approval_bps,
    dispute_success_threshold as dispute_threshold_bps,
    agreement_bps,
    dispute_period,
    case when state = 'RESOLVING' then dispute_closes_at end as dispute_closes_at,
    case when state = 'DISPUTED' then voting_closes_at end as voting_closes_at,
    now_at,
    greatest(last_seq, config_seq) as last_seq
from known
