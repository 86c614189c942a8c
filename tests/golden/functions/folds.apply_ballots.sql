CREATE OR REPLACE FUNCTION folds.apply_ballots(p_from bigint, p_to bigint, p_is_prepared boolean DEFAULT false, p_affected bigint[] DEFAULT NULL::bigint[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
 SET enable_seqscan TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
AS $function$
-- Written by folds.create_functions from sql_models/folds/ballots.sql; edit that file.
--
-- Merges the window (p_from, p_to] of the log into marts.ballots. First, rows whose earlier events the window changes are folded
-- again. Then the model's select runs over the window, and its result is merged: t is the row before, s the result of the window.
-- A caller of several models prepares the parts that they share and passes them. Otherwise the function prepares them itself.
declare
    v_affected bigint [] := p_affected;
begin
if not p_is_prepared then
    v_affected := folds.affected_seqs(p_from, p_to, 'f');
end if;
if v_affected is not null then
    perform folds.refold_ballots(v_affected, p_from);
end if;

-- One row per market_no, kind, wallet_no. The rule of each column is behind it: the result of combining two partial results of one row.
merge into marts.ballots as t
using (
with log as (
    select * from (
        select
            seq, order_key, transaction_no, ordinal, name, market_no, wallet_no, clock, payload, context,
            (
                select transactions.signature from "raw"."transactions" as transactions
                where transactions.transaction_no = logged.transaction_no
            ) as signature
        from "raw"."events" as logged
        where retracted_at is null and (seq > p_from and seq <= p_to)
        and name in ('ProposalVoteSubmitted', 'DisputeVoteSubmitted')
    ) as events
),

api as (
    select * from (select * from "app"."ballots" where (seq > p_from and seq <= p_to) and (true /*unplaced*/)) as ballots
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
) as s on t.market_no = s.market_no and t.kind = s.kind and t.wallet_no = s.wallet_no
when matched then update set
    market_id = coalesce(t.market_id, s.market_id) /* any */,
    user_wallet = coalesce(t.user_wallet, s.user_wallet) /* any */,
    precedence = least(t.precedence, s.precedence) /* min */,
    vote = case
        when s.precedence is null or t.precedence < s.precedence then t.vote
        when t.precedence = s.precedence then least(t.vote, s.vote) else s.vote
    end /* first precedence */,
    source = case
        when s.precedence is null or t.precedence < s.precedence then t.source
        when t.precedence = s.precedence then least(t.source, s.source) else s.source
    end /* first precedence */,
    cast_at = case
        when s.precedence is null or t.precedence < s.precedence then t.cast_at
        when t.precedence = s.precedence then least(t.cast_at, s.cast_at) else s.cast_at
    end /* first precedence */,
    tx_signature = case
        when s.precedence is null or t.precedence < s.precedence then t.tx_signature
        when t.precedence = s.precedence then least(t.tx_signature, s.tx_signature) else s.tx_signature
    end /* first precedence */,
    last_seq = greatest(t.last_seq, s.last_seq) /* max */
when not matched then insert (
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
) values (
    s.market_no,
    s.kind,
    s.wallet_no,
    s.market_id,
    s.user_wallet,
    s.precedence,
    s.vote,
    s.source,
    s.cast_at,
    s.tx_signature,
    s.last_seq
);
end
$function$
