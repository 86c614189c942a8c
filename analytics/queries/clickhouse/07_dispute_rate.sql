with ended as (
    select
        *,
        dispute_initiated_at is not null as is_disputed,
        dateDiff('second', resolution_proposed_at, coalesce(finalized_at, resolved_at)) as took
    from markets
    where is_known and resolution_proposed_at is not null
)

select
    case
        when not is_disputed then 'undisputed'
        when state <> 'FINALIZED' then 'disputed, open'
        when outcome = 'INVALID' then 'disputed, invalid'
        when final_outcome = proposed_outcome then 'disputed, confirmed'
        else 'disputed, overturned'
    end as course,
    count(*) as markets,
    round(100.0 * count(*) / sum(count(*)) over (), 1) as percent,
    round(avgIf(took / 3600, state = 'FINALIZED'), 1) as mean_hours_to_the_end
from ended
group by 1
order by markets desc, course asc;
