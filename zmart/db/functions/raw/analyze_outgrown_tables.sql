-- Functions use one plan for all batches. A plan that was made while the log was nearly empty reads a whole index where it
-- should look up one key. Each batch then takes longer than the one before, until autovacuum runs.
create or replace function raw.analyze_outgrown_tables() returns int
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '100ms'
-- A sample of 6,000 rows is enough to know that a table is no longer small, and takes a fifth of the time. Autovacuum takes the
-- usual 30,000 later.
set default_statistics_target = 20
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
            -- Another session analyzes it already, most likely autovacuum.
            continue;
        end;
    end loop;
    return v_analyzed;
end
$$;
comment on function raw.analyze_outgrown_tables is
'Analyzes the tables of log and marts that are more than four times as large as their statistics assume, and returns their number. The writer of a young log calls it without the lock.';

grant execute on function raw.analyze_outgrown_tables to zmart_ingest;
