create or replace function folds.finish_beside(p_beside text, p_after text []) returns text []
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    v_after text;
begin
    foreach v_after in array p_after loop
        execute replace(v_after, '/*target*/', p_beside);
    end loop;
    return folds.table_indexes(p_beside::regclass);
end
$$;
comment on function folds.finish_beside is 'Adds key, indexes and storage settings to a table that is built beside the live one, and returns its indexes.';
