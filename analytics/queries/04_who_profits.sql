-- Who has realized the most profit, computed from cash and cost, and does the leaderboard show the same?
-- Profit is the amounts received, less the amounts paid, plus the cost of shares that may still pay; unrealized gains
-- are not counted. A wallet with a difference would come first.
with by_hand as (
    select
        wallet_no,
        sum(
            total_proceeds + claimed_amount - total_invested
            + case when settlement in ('OPEN', 'CANCELLED', 'REFUNDABLE') or outcome = 'YES' and settlement = 'CLAIMABLE' then cost_yes else 0 end
            + case when settlement in ('OPEN', 'CANCELLED', 'REFUNDABLE') or outcome = 'NO' and settlement = 'CLAIMABLE' then cost_no else 0 end
        ) as profit
    from portfolio
    group by wallet_no
)

select
    ranking.profit_rank as rank,
    left(ranking.user_wallet, 8) as wallet,
    round(by_hand.profit / 1e9, 3) as profit_sol,
    ranking.trades_count as trades,
    ranking.won_count as won,
    ranking.decided_count as decided,
    by_hand.profit - ranking.profit as differs_by_lamports
from by_hand
full join (select * from leaderboard where period = 'all') as ranking on by_hand.wallet_no = ranking.wallet_no
order by abs(coalesce(by_hand.profit - ranking.profit, 1)) desc, ranking.profit_rank asc, ranking.user_wallet asc
limit 10;
