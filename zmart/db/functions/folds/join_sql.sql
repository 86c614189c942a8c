create or replace function folds.join_sql(p_key text []) returns text
language sql immutable
return (select string_agg(format('n.%I = o.%I', c, c), ' and ') from unnest(p_key) as c);
comment on function folds.join_sql is 'Returns the condition that the new row n and the old row o of a mart have the same key.';
