CREATE OR REPLACE FUNCTION folds.apply_positions(p_from bigint, p_to bigint, p_is_prepared boolean DEFAULT false, p_affected bigint[] DEFAULT NULL::bigint[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
 SET enable_seqscan TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
AS $function$
-- Written by folds.create_functions from sql_models/folds/positions.sql; edit that file.
--
-- Merges the window (p_from, p_to] of the log into marts.positions. First, rows whose earlier events the window changes are folded
-- again. Then the model's select runs over the window, and its result is merged: t is the row before, s the result of the window.
-- A caller of several models prepares the parts that they share and passes them. Otherwise the function prepares them itself.
declare
    v_affected bigint [] := p_affected;
begin
if not p_is_prepared then
    v_affected := folds.affected_seqs(p_from, p_to, 'f');
end if;
if v_affected is not null then
    perform folds.refold_positions(v_affected, p_from);
end if;

-- One row per market_no, wallet_no. The rule of each column is behind it: the result of combining two partial results of one row.
merge into marts.positions as t
using (
with log as (
    select * from (
        select
            seq, order_key, transaction_no, ordinal, name, market_no, wallet_no, clock, payload, context
        from "raw"."events" as logged
        where retracted_at is null and (seq > p_from and seq <= p_to)
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
) as s on t.market_no = s.market_no and t.wallet_no = s.wallet_no
when matched then update set
    market_id = coalesce(t.market_id, s.market_id) /* any */,
    on_chain_address = coalesce(t.on_chain_address, s.on_chain_address) /* any */,
    user_wallet = coalesce(t.user_wallet, s.user_wallet) /* any */,
    shares_yes = coalesce(t.shares_yes + s.shares_yes, t.shares_yes, s.shares_yes) /* sum */,
    shares_no = coalesce(t.shares_no + s.shares_no, t.shares_no, s.shares_no) /* sum */,
    total_invested = coalesce(t.total_invested + s.total_invested, t.total_invested, s.total_invested) /* sum */,
    total_proceeds = coalesce(t.total_proceeds + s.total_proceeds, t.total_proceeds, s.total_proceeds) /* sum */,
    trades_count = coalesce(t.trades_count + s.trades_count, t.trades_count, s.trades_count) /* sum */,
    has_claimed = coalesce(t.has_claimed or s.has_claimed, t.has_claimed, s.has_claimed) /* or */,
    claimed_amount = coalesce(t.claimed_amount + s.claimed_amount, t.claimed_amount, s.claimed_amount) /* sum */,
    first_trade_at = least(t.first_trade_at, s.first_trade_at) /* min */,
    last_trade_at = greatest(t.last_trade_at, s.last_trade_at) /* max */,
    claimed_at = greatest(t.claimed_at, s.claimed_at) /* max */,
    last_seq = greatest(t.last_seq, s.last_seq) /* max */
when not matched then insert (
    market_no,
    wallet_no,
    market_id,
    on_chain_address,
    user_wallet,
    shares_yes,
    shares_no,
    total_invested,
    total_proceeds,
    trades_count,
    has_claimed,
    claimed_amount,
    first_trade_at,
    last_trade_at,
    claimed_at,
    last_seq
) values (
    s.market_no,
    s.wallet_no,
    s.market_id,
    s.on_chain_address,
    s.user_wallet,
    s.shares_yes,
    s.shares_no,
    s.total_invested,
    s.total_proceeds,
    s.trades_count,
    s.has_claimed,
    s.claimed_amount,
    s.first_trade_at,
    s.last_trade_at,
    s.claimed_at,
    s.last_seq
);
end
$function$
