-- Functions keep one plan for all batches. A plan made while the log was nearly empty walks a whole index where it should
-- look one key up, and then each batch takes longer than the one before, until autovacuum comes round.
create or replace function raw.analyze_outgrown_tables() returns int
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '100ms'
as $$
declare
    v_table regclass;
    v_analyzed int := 0;
begin
    for v_table in
        select c.oid::regclass
        from pg_class as c
        inner join pg_namespace as n on n.oid = c.relnamespace
        where
            n.nspname in ('raw', 'marts') and c.relkind = 'r'
            and pg_relation_size(c.oid) > 4 * c.relpages::bigint * current_setting('block_size')::int
    loop
        begin
            execute format('analyze %s', v_table);
            v_analyzed := v_analyzed + 1;
        exception when lock_not_available then
            -- Somebody is at it already, autovacuum most likely.
            continue;
        end;
    end loop;
    return v_analyzed;
end
$$;
comment on function raw.analyze_outgrown_tables is
'Analyze the tables of log and marts that have outgrown their statistics fourfold; how many. For the writer of a young log, beside its lock.';

grant execute on function raw.analyze_outgrown_tables to zmart_ingest;
