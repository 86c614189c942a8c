create or replace function raw.resolve_order_conflicts(p_slots bigint []) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    v_rows bigint;
begin
    with live as materialized (
        select
            t.transaction_no, t.slot, t.signature, t.order_settled,
            coalesce(t.index_in_block, raw.provisional_index(t.signature)) as claimed
        from raw.transactions as t
        where
            t.slot = any(p_slots) and t.retracted_at is null and t.err is null
            and exists (select from raw.events as e where e.transaction_no = t.transaction_no and e.retracted_at is null)
    ),
    ranked as (
        select live.*, row_number() over (partition by slot, claimed order by order_settled desc, signature) as turn
        from live
    ),
    losers as (
        select transaction_no, slot, row_number() over (partition by slot order by claimed, order_settled desc, signature) as n
        from ranked
        where turn > 1
    ),
    -- As many places as there are transactions hold at least as many free ones as there are losers.
    ends as (
        select live.slot, count(*)::int as transactions
        from live
        where live.slot in (select losers.slot from losers)
        group by live.slot
    ),
    free as (
        select ends.slot, given.place, row_number() over (partition by ends.slot order by given.place desc) as n
        from ends
        cross join lateral generate_series(greatest(32768 - ends.transactions, 0), 32767) as given (place)
        where not exists (select from live where live.slot = ends.slot and live.claimed = given.place)
    ),
    places as (
        select transaction_no, slot, claimed as place from ranked where turn = 1
        union all
        select losers.transaction_no, losers.slot, free.place
        from losers
        inner join free on losers.slot = free.slot and losers.n = free.n
    ),
    moved as (
        update raw.events as e
        set order_key = (places.slot << 24) | (places.place::bigint << 9) | e.ordinal
        from places
        where
            e.transaction_no = places.transaction_no and e.retracted_at is null
            and e.order_key <> (places.slot << 24) | (places.place::bigint << 9) | e.ordinal
        returning e.seq, e.market_no, e.wallet_no, places.slot
    ),
    -- A configuration that moves can change the fees of everything in its slot.
    touched as (
        select moved.seq, moved.market_no, moved.wallet_no from moved
        union
        select e.seq, e.market_no, e.wallet_no
        from (select distinct moved.slot from moved where moved.market_no is null) as config
        inner join raw.events as e on e.order_key >= config.slot << 24 and e.order_key < (config.slot + 1) << 24
        where e.retracted_at is null
    )
    select count(*), raw.append_moved(
        array_agg(touched.seq order by touched.seq), array_agg(touched.market_no order by touched.seq),
        array_agg(touched.wallet_no order by touched.seq)
    ) into v_rows
    from touched;
    return v_rows;
end
$$;
comment on function raw.resolve_order_conflicts is
'Give every transaction of these slots that counts a place of its own, and say in the feed what moved; how many rows. For the writer, under its lock, before folds.';

grant execute on function raw.resolve_order_conflicts to zmart_ingest;
