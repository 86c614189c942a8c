-- How much has been won and not yet claimed, and how much of the winnings can no longer be paid?
-- owed is the result of the program's formula; claimable is the amount that the account can pay: all of a claim or
-- nothing.
select
    settlement,
    count(*) as positions,
    count(distinct wallet_no) as wallets,
    round(sum(owed_lamports) / 1e9, 3) as owed_sol,
    round(sum(claimable) / 1e9, 3) as claimable_sol,
    round(sum(claimed_amount) / 1e9, 3) as claimed_sol,
    round(sum(profit) / 1e9, 3) as profit_sol
from portfolio
where settlement not in ('OPEN', 'CLOSED')
group by settlement
order by settlement;
