create or replace function folds.difference_sql(m ops.models) returns text
language sql stable
return (
    select format($f$
        merge into marts.%1$I as t using (
            select o.ctid as old_row, n.%2$I is null as is_absent, n.*
            from pg_temp.rebuilt as n
            full join marts.%1$I as o on %3$s
            where n.%2$I is null or o.%2$I is null or %4$s
        ) as s on t.ctid = s.old_row
        when matched and s.is_absent then delete
        when matched then update set %5$s
        when not matched then insert (%6$s) values (%7$s)$f$,
        m.name, m.key_columns[1], folds.join_sql(m.key_columns), folds.distinct_sql(m.columns),
        string_agg(format('%I = s.%I', c, c), ', '),
        string_agg(quote_ident(c), ', '),
        string_agg(format('s.%I', c), ', '))
    from unnest(m.columns) as c
);
comment on function folds.difference_sql is 'Returns the merge that makes a live mart equal to its rebuild. It writes only rows that differ.';
