CREATE OR REPLACE FUNCTION marts.positions_as_of(p_slot bigint, p_market_no integer DEFAULT NULL::integer)
 RETURNS TABLE(market_no integer, wallet_no integer, market_id text, on_chain_address text, user_wallet text, shares_yes numeric, shares_no numeric, total_invested numeric, total_proceeds numeric, trades_count bigint, has_claimed boolean, claimed_amount numeric, first_trade_at timestamp with time zone, last_trade_at timestamp with time zone, claimed_at timestamp with time zone, last_seq bigint)
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
from (


with log as (
    select * from (
        select
            seq, order_key, transaction_no, ordinal, name, market_no, wallet_no, clock, payload, context
        from "raw"."events" as logged
        where retracted_at is null and (order_key < v_bound and (p_market_no is null or market_no = p_market_no))
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
) as folded;
end
$function$
