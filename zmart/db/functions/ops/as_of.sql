create or replace function ops.as_of(p_models text []) returns table (epoch text, seq bigint, slot bigint, commitment text)
language sql stable parallel safe
begin atomic
    select
        i.epoch::text,
        s.seq,
        s.slot,
        case when s.slot <= coalesce(
            (select max(f.ref) from raw.feed as f where f.kind = 'finalized_through'), -1
        ) then 'finalized' else 'confirmed' end
    from raw.identity as i
    cross join lateral (
        select h.seq, (select max(e.order_key) >> 24 from raw.events as e where e.retracted_at is null) as slot
        from (select coalesce(max(f.seq), 0) as seq from raw.feed as f) as h
        where not exists (
            select from ops.model_position as m where m.name = any(p_models) and m.applied_seq < h.seq
        )
        union all
        select m.applied_seq, (
            select e.order_key >> 24 from raw.events as e
            where e.seq <= m.applied_seq and e.retracted_at is null order by e.seq desc limit 1
        )
        from (
            select min(m.applied_seq) as applied_seq from ops.model_position as m where m.name = any(p_models)
        ) as m
        where m.applied_seq < (select coalesce(max(f.seq), 0) from raw.feed as f)
    ) as s;
end;
comment on function ops.as_of is
'Returns the epoch, seq and slot that the rows of these marts reflect, in the snapshot of the caller: the end of the log, the seq at which the first model that is behind or stale stopped, or the seq from which a scheduled mart was computed. slot is null before the first event. The planner inlines it into the calling statement.';

grant execute on function ops.as_of to zmart_ingest, zmart_keeper, zmart_api, analyst;
