-- name: keepers
-- Each keeper: how many markets wait for it, since when by the chain's clock, and its last round of one kind.
select
    k.keeper,
    coalesce(w.waiting, 0),
    r.ran_at,
    extract(epoch from clock_timestamp() - r.worked_at)::double precision as seconds_since_work
from unnest(%(keepers)s::text []) as k (keeper)
left join (
    select m.keeper, count(*)::int as waiting
    from ops.waiting_markets(%(min_votes)s, %(threshold_bps)s, %(window)s) as m
    group by m.keeper
) as w on k.keeper = w.keeper
left join ops.keeper_rounds as r on k.keeper = r.keeper and (not r.is_dry or %(counts_dry)s)
order by array_position(%(keepers)s::text [], k.keeper), r.ran_at desc;

-- name: save_backlog
-- Where status finds how many markets wait for each keeper.
insert into ops.cursors (name, value) values ('keeper_backlog', %(value)s)
on conflict (name) do update set value = excluded.value, moved_at = clock_timestamp();
