create or replace function folds.index_changes() returns setof text
language sql stable set search_path = pg_catalog, pg_temp
begin atomic
    select format('drop index concurrently if exists %s', i.indexrelid::regclass)
    from pg_index as i
    inner join pg_class as c on c.oid = i.indrelid
    where not i.indisvalid and c.relnamespace = 'marts'::regnamespace
    union all
    select format('create index concurrently on marts.%I using %s', m.name, required.definition)
    from (
        select name, indexes from ops.models
        union all
        select name, indexes from ops.scheduled_models
    ) as m
    cross join lateral unnest(m.indexes) as required (definition)
    where
        to_regclass(format('marts.%I', m.name)) is not null
        and required.definition <> all(folds.table_indexes(to_regclass(format('marts.%I', m.name))));
end;
comment on function folds.index_changes is
'Returns statements that create the indexes which models require on their live marts. Each must run outside a transaction. An index that no model requires any more is not dropped.';
