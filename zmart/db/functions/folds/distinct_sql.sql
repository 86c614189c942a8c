create or replace function folds.distinct_sql(p_columns text []) returns text
language sql immutable
return (
    select format('(%s) is distinct from (%s)', string_agg(format('n.%I', c), ', '), string_agg(format('o.%I', c), ', '))
    from unnest(p_columns) as c
);
comment on function folds.distinct_sql is 'Returns the condition that the new row n and the old row o of a mart differ in a column.';
