-- Who has made the most for good, counted from cash and cost, and does the leaderboard say the same?
-- What came back, less what was paid, plus the cost of what may still pay: a mark is nobody's profit yet. A wallet that differed
-- would stand first.
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
    board.profit_rank as rank,
    left(board.user_wallet, 8) as wallet,
    round(by_hand.profit / 1e9, 3) as profit_sol,
    board.trades_count as trades,
    board.won_count as won,
    board.decided_count as decided,
    by_hand.profit - board.profit as differs_by_lamports
from by_hand
full join (select * from leaderboard where period = 'all') as board on by_hand.wallet_no = board.wallet_no
order by abs(coalesce(by_hand.profit - board.profit, 1)) desc, board.profit_rank, board.user_wallet
limit 10;
