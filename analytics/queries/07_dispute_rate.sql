-- How often is a proposed outcome disputed, and how do disputes end?
-- Overturned: the final outcome differs from the proposed one. Invalid: a dispute that left no outcome; all holders are
-- refunded.
with ended as (
    select
        *,
        dispute_initiated_at is not null as is_disputed,
        coalesce(finalized_at, resolved_at) - resolution_proposed_at as took
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
    round(avg(extract(epoch from took) / 3600) filter (where state = 'FINALIZED'), 1) as mean_hours_to_the_end
from ended
group by 1
order by markets desc, course asc;
