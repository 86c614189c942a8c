create or replace function folds.replace_table(p_name text, p_statement text) returns void
language plpgsql set search_path = pg_catalog, pg_temp set client_min_messages = warning
as $$
declare
    v_live regclass := to_regclass(format('marts.%I', p_name));
    v_dependent record;
    v_statement text;
begin
    create temporary table dependents on commit drop as select * from folds.dependents(v_live);
    select * into v_dependent from dependents where kind <> 'v' limit 1;
    if found then
        raise exception '% depends on marts.% and is not a plain view. Drop it, deploy, and create it again', v_dependent.name, p_name
            using errcode = 'dependent_objects_still_exist';
    end if;
    -- The log waits for this transaction, so it does not wait long for a reader. The deployment tries again.
    set local lock_timeout = '200ms';
    execute format('drop table marts.%I cascade', p_name);
    execute p_statement;
    for v_dependent in select * from dependents order by depth loop
        -- A view that names a dropped column is not created here. The current dbt run creates it.
        begin
            foreach v_statement in array v_dependent.statements loop
                execute v_statement;
            end loop;
        exception when undefined_column or undefined_table then
            raise warning 'the view % no longer fits marts.% and was dropped. Deploy its model to create it', v_dependent.name, p_name;
        end;
    end loop;
    drop table dependents;
end
$$;
comment on function folds.replace_table is
'Drops the live table of a mart, runs the statement that puts something else in its place, and creates its views again.';
