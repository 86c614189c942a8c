-- A node that is away does not stop ingest: the bound grows with the time since the node named its slot. No cluster has slots
-- of less than 0.05 s. The 600 slots are two minutes of slots of 0.2 s, for deliveries that are ahead of the node.
create or replace function raw.newest_possible_slot() returns bigint
language sql volatile
set search_path = pg_catalog, pg_temp
return (
    select
        c.value::bigint + 600
        + ceil(greatest(extract(epoch from clock_timestamp() - c.moved_at), 0) / 0.05)::bigint
    from ops.cursors as c
    where c.name = 'node_slot'
);
comment on function raw.newest_possible_slot is
'Returns the highest slot that the chain can have reached by now, from the newest slot that every node had reported and the time of that answer. Null before the first answer.';

grant execute on function raw.newest_possible_slot to zmart_ingest;
