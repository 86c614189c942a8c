CREATE OR REPLACE FUNCTION marts.ballots_as_of(p_slot bigint, p_market_no integer DEFAULT NULL::integer)
 RETURNS TABLE(market_no integer, kind text, wallet_no integer, market_id text, user_wallet text, precedence bigint, vote boolean, source text, cast_at timestamp with time zone, tx_signature text, last_seq bigint)
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
select
    market_no,
    kind,
    wallet_no,
    market_id,
    user_wallet,
    precedence,
    vote,
    source,
    cast_at,
    tx_signature,
    last_seq
from (


with log as (
    select * from (
        select
            seq, order_key, transaction_no, ordinal, name, market_no, wallet_no, clock, payload, context,
            (
                select transactions.signature from "raw"."transactions" as transactions
                where transactions.transaction_no = logged.transaction_no
            ) as signature
        from "raw"."events" as logged
        where retracted_at is null and (order_key < v_bound and (p_market_no is null or market_no = p_market_no))
        and name in ('ProposalVoteSubmitted', 'DisputeVoteSubmitted')
    ) as events
),

api as (
    select * from (select * from "app"."ballots" where (cast_at < v_until and (p_market_no is null or market_no = p_market_no))) as ballots
),

markets as (
    select * from "raw"."markets_seen"
),

wallets as (
    select * from "raw"."wallets_seen"
),

cast_ballots as (
    select
        market_no,
        wallet_no,
        case name when 'ProposalVoteSubmitted' then 'proposal' else 'dispute' end as kind,
        (payload ->> 'vote')::boolean as vote,
        to_timestamp(case when clock is not null then least(greatest(clock, 0), 253402300799) end) as cast_at,
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
        (min(array[precedence, vote::int]) filter (where true))[2] as vote,
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
) as folded;
end
$function$
