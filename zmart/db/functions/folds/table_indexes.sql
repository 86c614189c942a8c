create or replace function folds.table_indexes(p_table regclass) returns text []
language sql stable
begin atomic
    select coalesce(array_agg(substring(pg_get_indexdef(i.indexrelid) from ' USING (.*)$') order by i.indexrelid), '{}')
    from pg_index as i
    where i.indrelid = p_table and i.indisvalid and not i.indisprimary;
end;
comment on function folds.table_indexes is 'Returns the valid indexes of a table except its primary key, without their names, to compare two tables.';
