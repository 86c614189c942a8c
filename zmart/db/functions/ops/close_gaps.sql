create or replace function ops.close_gaps(p_listed text []) returns bigint []
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_closed bigint [];
begin
    update ops.gap_transactions as g
    set
        closed_at = clock_timestamp(),
        outcome = case
            when g.kind = 'unfetched' then 'fetched'
            when t.is_stored then 'listed'
            when t.is_retracted then 'retracted'
            else 'replaced'
        end
    from (
        select
            o.signature,
            coalesce(bool_or(h.slot = o.slot and h.err is null and h.retracted_at is null), false) as is_stored,
            coalesce(bool_or(h.retracted_at is not null), false) as is_retracted
        from ops.gap_transactions as o
        left join raw.transactions as h on h.signature = o.signature
        where o.closed_at is null
        group by o.signature
    ) as t
    where
        g.closed_at is null and g.signature = t.signature
        and case
            when g.kind = 'unfetched' then t.is_stored
            else not t.is_stored or g.signature = any(p_listed)
        end;
    with closed as (
        update ops.accepted_gaps as a set closed_at = clock_timestamp()
        where
            a.closed_at is null
            and not exists (select from ops.gap_transactions as g where g.gap_no = a.gap_no and g.closed_at is null)
        returning a.gap_no
    )
    select array_agg(c.gap_no order by c.gap_no) into v_closed from closed as c;
    return v_closed;
end
$$;
comment on function ops.close_gaps is
'Closes what has been filled of accepted gaps: transactions that nodes list now (p_listed), that were fetched or delivered, or that the log no longer holds as accepted. Returns the gaps that are closed by it, or null.';

grant execute on function ops.close_gaps to zmart_ingest;
