CREATE OR REPLACE FUNCTION folds.apply(p_from bigint, p_to bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
-- Written by folds.create_dispatcher from ops.models.
--
-- Merges the window (p_from, p_to] of the log into every mart that follows the log and listens to something in it. Results that
-- several models need are computed once.
declare
    v_news text [];
    v_stale text [];
    v_affected bigint [];
    v_priced bigint [];
    v_stg_trades_b5dd4e38 folds.stg_trades_b5dd4e38 [];
begin
select array_agg(distinct n) into v_news from (
    select name as n from raw.events where seq > p_from and seq <= p_to
    union all
    select kind from raw.feed where seq > p_from and seq <= p_to and kind <> 'event'
) as news;
select coalesce(array_agg(name), '{}') into v_stale from ops.models where applied_seq is not null;
if v_news && '{retracted,moved}' then
    v_affected := folds.affected_seqs(p_from, p_to, false);
end if;
if v_news && '{ConfigUpdated,DisputeAggregated,DisputeInitiated,DisputeVoteSubmitted,GlobalConfigInitialized,LiquidityWithdrawn,MarketActivated,MarketCancelled,MarketCreated,MarketFinalized,MarketResolved,ProposalAggregated,ProposalApproved,ProposalVoteSubmitted,SharesBought,SharesSold,WinningsClaimed,retracted,moved}' then
    v_priced := folds.affected_seqs(p_from, p_to, true);
end if;
if v_news && '{ConfigUpdated,DisputeAggregated,DisputeInitiated,DisputeVoteSubmitted,GlobalConfigInitialized,LiquidityWithdrawn,MarketActivated,MarketCancelled,MarketCreated,MarketFinalized,MarketResolved,ProposalAggregated,ProposalApproved,ProposalVoteSubmitted,SharesBought,SharesSold,WinningsClaimed}' then
    v_stg_trades_b5dd4e38 := folds.stg_trades_b5dd4e38(p_from, p_to);
end if;

if v_news && '{ballot,DisputeVoteSubmitted,ProposalVoteSubmitted,retracted,moved}' and not 'ballots' = any(v_stale) then
    perform folds.apply_ballots(p_from, p_to, true, v_affected);
end if;
if v_news && '{ConfigUpdated,GlobalConfigInitialized,MarketCreated,SharesBought,SharesSold,retracted,moved}' and not 'candles_1m' = any(v_stale) then
    perform folds.apply_candles_1m(p_from, p_to, true, v_priced, v_stg_trades_b5dd4e38);
end if;
if v_news && '{DisputeAggregated,DisputeInitiated,LiquidityWithdrawn,MarketActivated,MarketCancelled,MarketCreated,MarketFinalized,MarketResolved,ProposalAggregated,ProposalApproved,retracted,moved}' and not 'market_lifecycle' = any(v_stale) then
    perform folds.apply_market_lifecycle(p_from, p_to, true, v_affected);
end if;
if v_news && '{ConfigUpdated,DisputeAggregated,DisputeInitiated,DisputeVoteSubmitted,GlobalConfigInitialized,LiquidityWithdrawn,MarketActivated,MarketCancelled,MarketCreated,MarketFinalized,MarketResolved,ProposalAggregated,ProposalApproved,ProposalVoteSubmitted,SharesBought,SharesSold,WinningsClaimed,retracted,moved}' and not 'markets' = any(v_stale) then
    perform folds.apply_markets(p_from, p_to, true, v_priced, v_stg_trades_b5dd4e38);
end if;
if v_news && '{SharesBought,SharesSold,retracted,moved}' and not 'position_costs' = any(v_stale) then
    perform folds.apply_position_costs(p_from, p_to, true, v_affected);
end if;
if v_news && '{SharesBought,SharesSold,WinningsClaimed,retracted,moved}' and not 'positions' = any(v_stale) then
    perform folds.apply_positions(p_from, p_to, true, v_affected);
end if;
if v_news && '{ConfigUpdated,GlobalConfigInitialized,MarketCreated,SharesBought,SharesSold,retracted,moved}' and not 'priced_trades' = any(v_stale) then
    perform folds.apply_priced_trades(p_from, p_to, true, v_priced, v_stg_trades_b5dd4e38);
end if;
if v_news && '{ConfigUpdated,GlobalConfigInitialized,ProtocolPauseStatusChanged,retracted,moved}' and not 'protocol_config' = any(v_stale) then
    perform folds.apply_protocol_config(p_from, p_to, true, v_affected);
end if;
end
$function$
