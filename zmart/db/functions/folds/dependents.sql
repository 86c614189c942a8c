create or replace function folds.dependents(p_table regclass) returns table (depth int, name text, kind "char", statements text []) -- noqa: RF06
language sql stable set search_path = pg_catalog, pg_temp
begin atomic
    with recursive above as (
        select r.ev_class as oid, 1 as depth
        from pg_depend as d
        inner join pg_rewrite as r on r.oid = d.objid
        where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass
            and d.refobjid = p_table and r.ev_class <> p_table
        union
        select r.ev_class, a.depth + 1
        from above as a
        inner join pg_depend as d on d.refobjid = a.oid and d.refclassid = 'pg_class'::regclass
        inner join pg_rewrite as r on r.oid = d.objid and d.classid = 'pg_rewrite'::regclass
        where r.ev_class <> a.oid and a.depth < 20
    )
    select
        max(a.depth), a.oid::regclass::text, c.relkind,
        array[format(
            'create view %s %s as %s', a.oid::regclass,
            (select 'with (' || string_agg(o, ', ') || ')' from unnest(c.reloptions) as o), pg_get_viewdef(a.oid)
        )]
        || coalesce((
            select array_agg(format('grant %s on %s to %I', x.privilege_type, a.oid::regclass, x.grantee::regrole::text))
            from aclexplode(c.relacl) as x where x.grantee <> c.relowner and x.grantee <> 0
        ), '{}')
        || coalesce((
            select array_agg(format('grant %s on %s to public', x.privilege_type, a.oid::regclass))
            from aclexplode(c.relacl) as x where x.grantee = 0
        ), '{}')
        || coalesce((
            select array_agg(case d.objsubid
                when 0 then format('comment on view %s is %L', a.oid::regclass, d.description)
                else format('comment on column %s.%I is %L', a.oid::regclass, t.attname, d.description)
            end)
            from pg_description as d
            left join pg_attribute as t on t.attrelid = d.objoid and t.attnum = d.objsubid and d.objsubid > 0
            where d.classoid = 'pg_class'::regclass and d.objoid = a.oid
        ), '{}')
        || case when pg_get_userbyid(c.relowner) <> current_user
            then array[format('alter view %s owner to %I', a.oid::regclass, pg_get_userbyid(c.relowner))] else '{}' end
    from above as a
    inner join pg_class as c on c.oid = a.oid
    -- Temporary views are dropped with the table, because only their session could create them again.
    where not pg_is_other_temp_schema(c.relnamespace) and c.relnamespace <> pg_my_temp_schema()
    group by a.oid, c.relkind, c.reloptions, c.relacl, c.relowner;
end;
comment on function folds.dependents is
'Returns the relations that depend on a table, with their depth and the statements that create them again: definition, options, grants, comments, owner.';
