create or replace function folds.replace_by_view(p_name text, p_view text) returns void
language plpgsql set search_path = pg_catalog, pg_temp set client_min_messages = warning
as $$
declare
    v_function regprocedure;
begin
    -- An append that waits here then folds the models that are left.
    perform raw.take_writer();
    delete from ops.models where name = p_name;
    perform folds.create_dispatcher();
    for v_function in
        select p.oid from pg_proc as p
        where p.pronamespace = 'folds'::regnamespace and p.proname in ('apply_' || p_name, 'refold_' || p_name)
    loop
        execute format('drop function %s', v_function);
    end loop;
    perform folds.drop_stages();
    perform folds.replace_table(p_name, p_view);
end
$$;
comment on function folds.replace_by_view is
'Replaces a folded mart by a view of the same name, in one transaction: readers see the table or the view. Its model and its generated functions go.';
