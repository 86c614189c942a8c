create or replace function folds.swap(p_name text) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    v_rename text := format('alter table marts.%I rename to %I', p_name || '__beside', p_name);
begin
    if to_regclass(format('marts.%I', p_name)) is null then
        execute v_rename;
    else
        perform folds.replace_table(p_name, v_rename);
    end if;
end
$$;
comment on function folds.swap is 'Replaces the live table by the one built beside it, and creates its views again.';
