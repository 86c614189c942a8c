create or replace function folds.create_as_of(p_model text, p_fold text) returns void
language sql set search_path = pg_catalog, pg_temp
begin atomic
    select folds.write_as_of(p_model, format(
        E'select\n    %s\nfrom (\n%s\n) as folded',
        (
            -- Generated columns are computed from the others, as in the mart.
            select string_agg(format(
                case when a.attgenerated = '' then '%2$I' else '(%1$s)::%3$s as %2$I' end,
                pg_get_expr(d.adbin, d.adrelid), a.attname, format_type(a.atttypid, a.atttypmod)
            ), E',\n    ' order by a.attnum)
            from pg_attribute as a
            left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
            where a.attrelid = to_regclass(format('marts.%I', p_model)) and a.attnum > 0 and not a.attisdropped
        ),
        folds.as_of_sql(p_fold)
    ));
end;
comment on function folds.create_as_of is 'Writes marts.<model>_as_of from the select of the folded model.';
