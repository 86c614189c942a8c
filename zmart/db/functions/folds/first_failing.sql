create or replace function folds.first_failing(p_model text, p_from bigint, p_to bigint) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    v_good bigint := p_from;
    v_bad bigint := p_to;
    v_middle bigint;
begin
    while v_bad - v_good > 1 loop
        v_middle := (v_good + v_bad) / 2;
        begin
            execute format('select folds.%I($1, $2)', 'apply_' || p_model) using p_from, v_middle;
            raise exception 'undo the probe' using errcode = 'ZM000';
        exception
            when sqlstate 'ZM000' then v_good := v_middle;
            when others then v_bad := v_middle;
        end;
    end loop;
    return v_bad;
end
$$;
comment on function folds.first_failing is 'Returns the first seq of a window at which the model fails. It searches by bisection and undoes each probe.';
