CREATE OR REPLACE FUNCTION marts.vote_tallies_as_of(p_slot bigint, p_market_no integer DEFAULT NULL::integer)
 RETURNS TABLE(market_no integer, market_id text, kind text, agree bigint, disagree bigint, total bigint, on_chain_agree bigint, on_chain_disagree bigint, off_chain_known_agree bigint, off_chain_known_disagree bigint, off_chain_unseen_agree bigint, off_chain_unseen_disagree bigint, voting_closes_at timestamp with time zone, last_seq bigint)
 LANGUAGE plpgsql
 STABLE SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
#variable_conflict use_column
declare
    v_bound bigint := (least(p_slot, 549755813886) + 1) << 24;
    v_until timestamptz := coalesce((
        select to_timestamp(least(greatest(e.clock, 0), 253402300799))
        from raw.events as e
        where e.order_key >= v_bound and e.retracted_at is null
        order by e.order_key
        limit 1
    ), 'infinity');
begin
return query
with final_part as (
    select (max(feed.ref) + 1) << 24 as end_key from raw.feed as feed where feed.kind = 'finalized_through'
),

ballots as (
    select
        ballots.*,
        ballots.source = 'chain' as is_on_chain,
        ballots.source = 'api' and exists (
            select 1 from raw.events as events
            where
                events.wallet_no = ballots.wallet_no and events.retracted_at is null and events.order_key < final_part.end_key
                and not exists (
                    select 1 from ops.gap_transactions as gaps
                    inner join raw.transactions as transactions on gaps.signature = transactions.signature
                    where transactions.transaction_no = events.transaction_no and gaps.closed_at is null
                )
                and events.order_key < case ballots.kind when 'dispute' then markets.initiation_key else markets.created_key end
        ) as is_known,
        markets.dispute_initiated_at + make_interval(secs => settings.value) as voting_closes_at
    from marts.ballots_as_of(p_slot, p_market_no) as ballots
    inner join (
        select
            market_no,
            to_timestamp(case when (max(array[order_key, clock]) filter (where name = 'DisputeInitiated'))[2] is not null then least(greatest((max(array[order_key, clock]) filter (where name = 'DisputeInitiated'))[2], 0), 253402300799) end) as dispute_initiated_at,
            max(order_key) filter (where name = 'DisputeInitiated') as initiation_key,
            max(order_key) filter (where name = 'MarketCreated') as created_key
        from raw.events
        where order_key < v_bound and retracted_at is null and (p_market_no is null or market_no = p_market_no)
        group by market_no
    ) as markets on ballots.market_no = markets.market_no
    cross join ops.settings as settings
    cross join final_part
    where settings.name = 'dispute_voting_window_seconds'
)

select
    market_no,
    max(market_id) as market_id,
    kind,
    count(*) filter (where vote) as agree,
    count(*) filter (where not vote) as disagree,
    count(*) as total,
    count(*) filter (where vote and is_on_chain) as on_chain_agree,
    count(*) filter (where not vote and is_on_chain) as on_chain_disagree,
    count(*) filter (where vote and is_known) as off_chain_known_agree,
    count(*) filter (where not vote and is_known) as off_chain_known_disagree,
    count(*) filter (where vote and not is_on_chain and not is_known) as off_chain_unseen_agree,
    count(*) filter (where not vote and not is_on_chain and not is_known) as off_chain_unseen_disagree,
    case kind when 'dispute' then max(voting_closes_at) end as voting_closes_at,
    max(last_seq) as last_seq
from ballots
where kind = 'proposal' or cast_at < voting_closes_at
group by market_no, kind;
end
$function$
