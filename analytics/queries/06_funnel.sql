-- Of all proposed markets, how many reach each step, and how long does each step take?
-- Hours are the median over the markets that took the step. Markets that are still open count up to their current step.
with steps (step, reached, hours) as (
    select
        steps.*
    from markets
    cross join lateral (
        values
        (1, created_at is not null, null::interval),
        (2, approved_at is not null, approved_at - created_at),
        (3, activated_at is not null, activated_at - approved_at),
        (4, resolution_proposed_at is not null, resolution_proposed_at - activated_at),
        (5, state = 'FINALIZED', coalesce(finalized_at, resolved_at) - resolution_proposed_at),
        (6, state = 'CANCELLED', cancelled_at - created_at)
    ) as steps (step, reached, hours)
    where markets.is_known
)

select
    (array['proposed', 'approved', 'opened', 'outcome proposed', 'finalized', 'cancelled'])[steps.step] as step,
    count(*) filter (where reached) as markets,
    round(100.0 * count(*) filter (where reached) / count(*), 1) as percent,
    round((extract(epoch from percentile_cont(0.5) within group (order by hours) filter (where reached)) / 3600)::numeric, 1)
        as median_hours
from steps
group by steps.step
order by min(steps.step);
