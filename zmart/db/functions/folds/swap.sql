create or replace function folds.swap(p_name text) returns void
language plpgsql set search_path = pg_catalog, pg_temp set client_min_messages = warning
as $$
declare
    v_live regclass := to_regclass(format('marts.%I', p_name));
    v_above record;
    v_statement text;
begin
    if v_live is null then
        execute format('alter table marts.%I rename to %I', p_name || '__beside', p_name);
        return;
    end if;
    create temporary table above_it on commit drop as select * from folds.dependents(v_live);
    select * into v_above from above_it where kind <> 'v' limit 1;
    if found then
        raise exception '% stands on marts.% and is not a plain view: drop it, deploy, and create it again', v_above.name, p_name
            using errcode = 'dependent_objects_still_exist';
    end if;
    -- The log waits for this transaction: a reader that is in the way is not waited for, the deployment tries again.
    set local lock_timeout = '200ms';
    execute format('drop table marts.%I cascade', p_name);
    execute format('alter table marts.%I rename to %I', p_name || '__beside', p_name);
    for v_above in select * from above_it order by depth loop
        -- A view that names a column that is gone is left to the dbt run that is going on.
        begin
            foreach v_statement in array v_above.statements loop
                execute v_statement;
            end loop;
        exception when undefined_column or undefined_table then
            raise warning 'the view % no longer fits % and waits for its model', v_above.name, p_name;
        end;
    end loop;
    drop table above_it;
end
$$;
comment on function folds.swap is 'Put the table built beside in the live one''s place, and its views back on top.';
