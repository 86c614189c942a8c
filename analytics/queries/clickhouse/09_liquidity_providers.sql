select
    left(creator_wallet, 8) as provider,
    count(*) as markets,
    round(sum(total_volume) / 1e9, 2) as volume_sol,
    round(sum(lp_fees_earned) / 1e9, 3) as fees_earned_sol,
    round(sum(accumulated_lp_fees) / 1e9, 3) as fees_not_withdrawn_sol,
    round(10000 * toFloat64(sum(lp_fees_earned)) / toFloat64(nullif(sum(total_volume), 0)), 1) as fees_bps_of_volume,
    round(sum(withdrawn_amount) / 1e9, 2) as withdrawn_sol
from markets
where is_known
group by creator_wallet
having sum(total_volume) > 0
order by sum(lp_fees_earned) desc, creator_wallet
limit 10;
