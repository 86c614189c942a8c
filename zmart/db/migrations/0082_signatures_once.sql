-- Services of the version before cannot run on.
--
-- Stores the signature of a transaction once: its events have the transaction's number. The column goes at once, and its space
-- with the old rows, which `zmart migrate` writes again afterwards, in steps (zmart/run/deploy/compaction.py).

-- Installed models read the column until they are deployed again. Steps that models share get another name, because one with
-- the same name is taken for the same.
do $$
declare
    v_column constant text := 'clock, signature, payload, context';
    v_lookup constant text := 'clock, (select t.signature from raw.transactions as t where t.transaction_no = events.transaction_no) as signature, payload, context';
    v_step text;
begin
    for v_step in select distinct staged_as from ops.models where staged_as is not null loop
        execute format('drop function if exists folds.%I(bigint, bigint)', v_step);
        execute format('drop type if exists folds.%I cascade', v_step);
    end loop;
    update ops.models
    set
        fold_sql = replace(fold_sql, v_column, v_lookup), merge_sql = replace(merge_sql, v_column, v_lookup),
        staged_sql = replace(staged_sql, v_column, v_lookup), staged_as = staged_as || '_2';
end
$$;

-- So do views of ours. The name that a view gives to the table is in its text.
do $$
declare
    v_view record;
    v_name text;
begin
    for v_view in
        select distinct r.ev_class::regclass as name, pg_get_viewdef(r.ev_class) as text, c.relnamespace
        from pg_depend as d
        inner join pg_rewrite as r on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
        inner join pg_class as c on r.ev_class = c.oid
        inner join pg_attribute as a on d.refobjid = a.attrelid and d.refobjsubid = a.attnum
        where d.refobjid = 'raw.events'::regclass and a.attname = 'signature'
    loop
        v_name := coalesce((regexp_match(v_view.text, 'raw\.events (?!(?:ON|WHERE|LEFT|JOIN|CROSS)\M)(\w+)'))[1], 'events');
        if v_view.relnamespace <> 'marts'::regnamespace or v_view.text !~ ('\m' || v_name || '\.signature\M') then
            raise exception 'the view % reads raw.events.signature', v_view.name using
                errcode = 'invalid_object_definition',
                detail = 'Let it read the view log.events, which has the same column, or drop it.';
        end if;
        execute format('create or replace view %s as %s', v_view.name, regexp_replace(
            v_view.text, '\m' || v_name || '\.signature\M',
            format('(select t.signature from raw.transactions as t where t.transaction_no = %I.transaction_no)', v_name), 'g'
        ));
    end loop;
end
$$;

alter table raw.events drop column signature;

-- These lose a parameter; their files define them again.
drop function if exists raw.append, raw.append_events;
