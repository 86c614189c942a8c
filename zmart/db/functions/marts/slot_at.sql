-- Bisection over the slots of the log: the chain's clock never goes back from one slot to a later one. Each step reads one row
-- by the index on order_key, 40 rows at most. An index on clock would be exact for any clock, and each append would pay for it.
create or replace function marts.slot_at(p_at timestamptz) returns bigint
language plpgsql stable parallel safe set search_path = pg_catalog, pg_temp
as $$
declare
    v_clock numeric := floor(extract(epoch from p_at));
    v_slot bigint;
    v_from bigint;
    v_to bigint;
    v_found raw.events;
begin
    select * into v_found from raw.events where retracted_at is null order by order_key limit 1;
    if p_at is null or v_found is null or v_found.clock > v_clock then
        return null;
    end if;
    -- The answer is v_slot, or a slot between v_from and v_to, both included.
    v_slot := v_found.order_key >> 24;
    v_from := v_slot;
    select order_key >> 24 into v_to from raw.events where retracted_at is null order by order_key desc limit 1;
    while v_from <= v_to loop
        select * into v_found
        from raw.events
        where
            order_key >= v_from << 24
            and order_key < ((v_from + v_to) / 2 + 1) << 24
            and retracted_at is null
        order by order_key desc
        limit 1;
        if v_found is null or v_found.clock <= v_clock then
            v_slot := coalesce(v_found.order_key >> 24, v_slot);
            v_from := (v_from + v_to) / 2 + 1;
        else
            v_to := (v_found.order_key >> 24) - 1;
        end if;
    end loop;
    return v_slot;
end
$$;
comment on function marts.slot_at is
'The last slot of the log whose chain clock, in whole seconds, is not after an instant: the argument of marts.<mart>_as_of(slot). Null where the log begins later, has no event, or the instant is null.';

grant execute on function marts.slot_at to zmart_api, zmart_keeper, analyst;
