CREATE OR REPLACE FUNCTION folds.refold_ballots(p_affected bigint[], p_upto bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_hashjoin TO 'on'
 SET enable_mergejoin TO 'on'
 SET enable_seqscan TO 'on'
 SET plan_cache_mode TO 'auto'
AS $function$
-- Written by folds.create_functions from sql_models/folds/ballots.sql; edit that file.
--
-- Folds the rows of marts.ballots that these events affect again from their whole history up to p_upto: after a retraction, a settled
-- order, or another change of events that were folded before. A row is found by (market_no, wallet_no).
begin
delete from marts.ballots as t using (select distinct k.market_no, k.wallet_no from raw.events as k where k.seq = any(p_affected)) as k where t.market_no = k.market_no and t.wallet_no = k.wallet_no;
insert into marts.ballots (market_no, kind, wallet_no, market_id, user_wallet, precedence, vote, source, cast_at, tx_signature, last_seq)
select market_no, kind, wallet_no, market_id, user_wallet, precedence, vote, source, cast_at, tx_signature, last_seq from (


with log as (
    select * from (
        select
            seq, order_key, transaction_no, ordinal, name, market_no, wallet_no, clock, payload, context,
            (
                select transactions.signature from "raw"."transactions" as transactions
                where transactions.transaction_no = logged.transaction_no
            ) as signature
        from "raw"."events" as logged
        where retracted_at is null and ((market_no, wallet_no) in (select k.market_no, k.wallet_no from raw.events as k where k.seq = any(p_affected)) and seq <= p_upto)
        and name in ('ProposalVoteSubmitted', 'DisputeVoteSubmitted')
    ) as events
),

api as (
    select * from (select * from "app"."ballots" where ((market_no, wallet_no) in (select k.market_no, k.wallet_no from raw.events as k where k.seq = any(p_affected)) and seq <= p_upto) and (true /*unplaced*/)) as ballots
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
) as refolded;
end
$function$
