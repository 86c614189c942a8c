with steps as (
    select 1 as step, created_at is not null as reached, null::interval as hours from markets where is_known
    union all
    select 2, approved_at is not null, approved_at - created_at from markets where is_known
    union all
    select 3, activated_at is not null, activated_at - approved_at from markets where is_known
    union all
    select 4, resolution_proposed_at is not null, resolution_proposed_at - activated_at from markets where is_known
    union all
    select 5, state = 'FINALIZED', coalesce(finalized_at, resolved_at) - resolution_proposed_at
    from markets
    where is_known
    union all
    select 6, state = 'CANCELLED', cancelled_at - created_at from markets where is_known
)

select
    (['proposed', 'approved', 'opened', 'outcome proposed', 'finalized', 'cancelled'])[step] as step,
    count(*) filter (where reached) as markets,
    round(100.0 * count(*) filter (where reached) / count(*), 1) as percent,
    round(quantile_cont(extract(epoch from hours), 0.5) filter (where reached) / 3600, 1) as median_hours
from steps
group by steps.step
order by min(steps.step);
