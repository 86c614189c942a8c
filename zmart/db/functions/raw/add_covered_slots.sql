create or replace function raw.add_covered_slots() returns trigger
-- Ingest writes raw.coverage; only this trigger writes the ranges.
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    insert into raw.covered_slots as s (source, slots, successful_transactions, proven_at)
    select
        a.source, range_agg(int8range(a.from_slot, a.to_slot, '[]')), sum(a.successful_transactions), max(a.proven_at)
    from added as a
    group by a.source
    on conflict (source) do update
    set
        slots = s.slots + excluded.slots,
        successful_transactions = s.successful_transactions + excluded.successful_transactions,
        proven_at = greatest(s.proven_at, excluded.proven_at);
    if tg_op = 'UPDATE' then
        -- A proof only grows, so its slots are in the ranges already. Its transactions are counted with the new row.
        update raw.covered_slots as s set successful_transactions = s.successful_transactions - r.transactions
        from (
            select b.source, sum(b.successful_transactions) as transactions from replaced as b group by b.source
        ) as r
        where s.source = r.source;
    end if;
    return null;
end
$$;
comment on function raw.add_covered_slots is 'Adds new proofs to the ranges of their source in raw.covered_slots.';

create or replace trigger add_covered_slots after insert on raw.coverage
referencing new table as added
for each statement execute function raw.add_covered_slots();

create or replace trigger extend_covered_slots after update on raw.coverage
referencing old table as replaced new table as added
for each statement execute function raw.add_covered_slots();
