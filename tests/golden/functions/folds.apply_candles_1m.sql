CREATE OR REPLACE FUNCTION folds.apply_candles_1m(p_from bigint, p_to bigint, p_is_prepared boolean DEFAULT false, p_affected bigint[] DEFAULT NULL::bigint[], p_staged folds.stg_trades_b5dd4e38[] DEFAULT NULL::folds.stg_trades_b5dd4e38[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
 SET enable_seqscan TO 'off'
 SET plan_cache_mode TO 'force_generic_plan'
AS $function$
-- Written by folds.create_functions from sql_models/folds/candles_1m.sql; edit that file.
--
-- Merges the window (p_from, p_to] of the log into marts.candles_1m. First, rows whose earlier events the window changes are folded
-- again. Then the model's select runs over the window, and its result is merged: t is the row before, s the result of the window.
-- A caller of several models prepares the parts that they share and passes them. Otherwise the function prepares them itself.
declare
    v_affected bigint [] := p_affected;
    v_staged folds.stg_trades_b5dd4e38 [] := p_staged;
begin
if not p_is_prepared then
    v_affected := folds.affected_seqs(p_from, p_to, 't');
    v_staged := folds.stg_trades_b5dd4e38(p_from, p_to);
end if;
if v_affected is not null then
    perform folds.refold_candles_1m(v_affected, p_from);
end if;

-- One row per market_no, bucket_at. The rule of each column is behind it: the result of combining two partial results of one row.
merge into marts.candles_1m as t
using (
with  __dbt__cte__stg_trades as (
select * from unnest(v_staged)
), split_trades as (
    select * from __dbt__cte__stg_trades
),

markets as (
    select * from "raw"."markets_seen"
),

trades as (
    select
        market_no,
        to_timestamp(case when clock - clock % 60 is not null then least(greatest(clock - clock % 60, 0), 253402300799) end) as bucket_at,
        order_key,
        price_yes,
        is_buy,
        case when is_buy then cost else gross end as lamports,
        shares,
        seq
    from split_trades
),

folded as (
    select
        market_no,
        bucket_at,
        min(order_key) as open_key,
        (min(array[order_key, price_yes]) filter (where true))[2] as open,
        max(price_yes) as high,
        min(price_yes) as low,
        max(order_key) as close_key,
        (max(array[order_key, price_yes]) filter (where true))[2] as close,
        sum(lamports) as volume,
        coalesce(sum(lamports) filter (where is_buy), 0) as buy_volume,
        sum(shares) as shares_volume,
        count(*) as trades_count,
        max(seq) as last_seq
    from trades
    group by market_no, bucket_at
),

final as (
    select
        folded.market_no,
        folded.bucket_at,
        markets.market_id,
        folded.open_key,
        folded.open,
        folded.high,
        folded.low,
        folded.close_key,
        folded.close,
        folded.volume::numeric(39, 0) as volume,
        folded.buy_volume::numeric(39, 0) as buy_volume,
        folded.shares_volume::numeric(39, 0) as shares_volume,
        folded.trades_count,
        folded.last_seq
    from folded
    inner join markets on folded.market_no = markets.market_no
)

select * from final
) as s on t.market_no = s.market_no and t.bucket_at = s.bucket_at
when matched then update set
    market_id = coalesce(t.market_id, s.market_id) /* any */,
    open_key = least(t.open_key, s.open_key) /* min */,
    open = case
        when s.open_key is null or t.open_key < s.open_key then t.open
        when t.open_key = s.open_key then least(t.open, s.open) else s.open
    end /* first open_key */,
    high = greatest(t.high, s.high) /* max */,
    low = least(t.low, s.low) /* min */,
    close_key = greatest(t.close_key, s.close_key) /* max */,
    close = case
        when s.close_key is null or t.close_key > s.close_key then t.close
        when t.close_key = s.close_key then greatest(t.close, s.close) else s.close
    end /* last close_key */,
    volume = coalesce(t.volume + s.volume, t.volume, s.volume) /* sum */,
    buy_volume = coalesce(t.buy_volume + s.buy_volume, t.buy_volume, s.buy_volume) /* sum */,
    shares_volume = coalesce(t.shares_volume + s.shares_volume, t.shares_volume, s.shares_volume) /* sum */,
    trades_count = coalesce(t.trades_count + s.trades_count, t.trades_count, s.trades_count) /* sum */,
    last_seq = greatest(t.last_seq, s.last_seq) /* max */
when not matched then insert (
    market_no,
    bucket_at,
    market_id,
    open_key,
    open,
    high,
    low,
    close_key,
    close,
    volume,
    buy_volume,
    shares_volume,
    trades_count,
    last_seq
) values (
    s.market_no,
    s.bucket_at,
    s.market_id,
    s.open_key,
    s.open,
    s.high,
    s.low,
    s.close_key,
    s.close,
    s.volume,
    s.buy_volume,
    s.shares_volume,
    s.trades_count,
    s.last_seq
);
end
$function$
