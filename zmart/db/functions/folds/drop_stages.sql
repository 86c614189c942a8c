create or replace function folds.drop_stages() returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    v_name text;
begin
    for v_name in
        select p.proname
        from pg_proc as p
        inner join pg_type as t on t.typname = p.proname and t.typnamespace = p.pronamespace and t.typtype = 'c'
        where p.pronamespace = 'folds'::regnamespace and p.proname not in (select staged_as from ops.models where staged_as is not null)
    loop
        execute format('drop function folds.%I(bigint, bigint)', v_name);
        execute format('drop type folds.%I', v_name);
    end loop;
end
$$;
comment on function folds.drop_stages is 'Drops steps that no model uses any more.';
