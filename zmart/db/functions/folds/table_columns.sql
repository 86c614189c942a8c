create or replace function folds.table_columns(p_table regclass) returns text
language sql stable
begin atomic
    select string_agg(format(
        '%s %s %s %s', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid)
    ), ', ' order by a.attnum)
    from pg_attribute as a
    left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = p_table and a.attnum > 0 and not a.attisdropped;
end;
comment on function folds.table_columns is 'Returns names, types and expressions of a table''s columns as one text, to compare two tables.';
