CREATE OR REPLACE FUNCTION folds.refold_positions(p_affected bigint[], p_upto bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_hashjoin TO 'on'
 SET enable_mergejoin TO 'on'
 SET enable_seqscan TO 'on'
 SET plan_cache_mode TO 'auto'
AS $function$
-- Written by folds.create_functions from sql_models/folds/positions.sql; edit that file.
--
-- Folds the rows of marts.positions that these events affect again from their whole history up to p_upto: after a retraction, a settled
-- order, or another change of events that were folded before. A row is found by (market_no, wallet_no).
begin
delete from marts.positions as t using (select distinct k.market_no, k.wallet_no from raw.events as k where k.seq = any(p_affected)) as k where t.market_no = k.market_no and t.wallet_no = k.wallet_no;
insert into marts.positions (market_no, wallet_no, market_id, on_chain_address, user_wallet, shares_yes, shares_no, total_invested, total_proceeds, trades_count, has_claimed, claimed_amount, first_trade_at, last_trade_at, claimed_at, last_seq)
select market_no, wallet_no, market_id, on_chain_address, user_wallet, shares_yes, shares_no, total_invested, total_proceeds, trades_count, has_claimed, claimed_amount, first_trade_at, last_trade_at, claimed_at, last_seq from (


with log as (
    select * from (
        select
            seq, order_key, transaction_no, ordinal, name, market_no, wallet_no, clock, payload, context
        from "raw"."events" as logged
        where retracted_at is null and ((market_no, wallet_no) in (select k.market_no, k.wallet_no from raw.events as k where k.seq = any(p_affected)) and seq <= p_upto)
        and name in ('SharesBought', 'SharesSold', 'WinningsClaimed')
    ) as events
),

markets as (
    select * from "raw"."markets_seen"
),

wallets as (
    select * from "raw"."wallets_seen"
),

events as (
    select
        seq,
        market_no,
        wallet_no,
        clock,
        name,
        case name when 'SharesBought' then 1 when 'SharesSold' then -1 end as direction,
        (payload ->> 'outcome')::boolean as is_yes,
        (payload ->> 'shares')::numeric as shares,
        coalesce(payload ->> 'cost', payload ->> 'proceeds', payload ->> 'amount')::numeric as lamports
    from log
),

folded as (
    select
        market_no,
        wallet_no,
        coalesce(sum(direction * shares) filter (where is_yes and direction is not null), 0) as shares_yes,
        coalesce(sum(direction * shares) filter (where not is_yes and direction is not null), 0) as shares_no,
        coalesce(sum(lamports) filter (where direction = 1), 0) as total_invested,
        coalesce(sum(lamports) filter (where direction = -1), 0) as total_proceeds,
        count(direction) as trades_count,
        bool_or(direction is null) as has_claimed,
        coalesce(sum(lamports) filter (where direction is null), 0) as claimed_amount,
        min(clock) filter (where direction is not null) as first_trade_clock,
        max(clock) filter (where direction is not null) as last_trade_clock,
        max(clock) filter (where direction is null) as claimed_clock,
        max(seq) as last_seq
    from events
    group by market_no, wallet_no
),

final as (
    select
        folded.market_no,
        folded.wallet_no,
        markets.market_id,
        markets.account as on_chain_address,
        wallets.wallet as user_wallet,
        folded.shares_yes::numeric(39, 0) as shares_yes,
        folded.shares_no::numeric(39, 0) as shares_no,
        folded.total_invested::numeric(39, 0) as total_invested,
        folded.total_proceeds::numeric(39, 0) as total_proceeds,
        folded.trades_count,
        folded.has_claimed,
        folded.claimed_amount::numeric(39, 0) as claimed_amount,
        to_timestamp(case when folded.first_trade_clock is not null then least(greatest(folded.first_trade_clock, 0), 253402300799) end) as first_trade_at,
        to_timestamp(case when folded.last_trade_clock is not null then least(greatest(folded.last_trade_clock, 0), 253402300799) end) as last_trade_at,
        to_timestamp(case when folded.claimed_clock is not null then least(greatest(folded.claimed_clock, 0), 253402300799) end) as claimed_at,
        folded.last_seq
    from folded
    inner join markets on folded.market_no = markets.market_no
    inner join wallets on folded.wallet_no = wallets.wallet_no
)

select * from final
) as refolded;
end
$function$
