with steps as (
    select
        arrayJoin([
            (1, created_at is not null, null::Nullable(Int64)),
            (2, approved_at is not null, dateDiff('second', created_at, approved_at)),
            (3, activated_at is not null, dateDiff('second', approved_at, activated_at)),
            (4, resolution_proposed_at is not null, dateDiff('second', activated_at, resolution_proposed_at)),
            (
                5,
                state = 'FINALIZED',
                dateDiff('second', resolution_proposed_at, coalesce(finalized_at, resolved_at))
            ),
            (6, state = 'CANCELLED', dateDiff('second', created_at, cancelled_at))
        ]) as step,
        step.1 as number,
        ifNull(step.2, 0) as reached,
        step.3 as seconds
    from markets
    where is_known
)

select
    ['proposed', 'approved', 'opened', 'outcome proposed', 'finalized', 'cancelled'][number] as step,
    countIf(reached) as markets,
    round(100.0 * countIf(reached) / count(*), 1) as percent,
    round(quantileExactInclusiveIf(0.5)(seconds, reached and seconds is not null) / 3600, 1) as median_hours
from steps
group by number
order by number;
