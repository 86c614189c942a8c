-- What several models ask of one window is asked once.
--
-- Trades with their fee split are a step that three folded models begin with, and which earlier events a window changes is the
-- same for all of them. folds.apply finds both out once and hands them to the models. A model that is called by itself (when another
-- one has failed, or to find the event it cannot take) finds out for itself; what it does then is the same.

alter table ops.models add column staged_as text collate "C";
alter table ops.models add column staged_sql text;
alter table ops.models add check ((staged_as is null) = (staged_sql is null));
comment on column ops.models.staged_as is
'The step it shares with other models: a type in folds for its rows and a function of that name for those of a window; null where it shares none.';
comment on column ops.models.staged_sql is 'The select of that step, word for word as it stands in fold_sql and merge_sql.';

create function folds.create_stage(p_name text, p_sql text) returns void
language plpgsql set search_path = pg_catalog, pg_temp set client_min_messages = warning
as $$
declare
    v_columns text;
begin
    -- Its name says what it is made of: what is there already is the same.
    if to_regtype(format('folds.%I', p_name)) is not null then
        return;
    end if;
    execute format('create temporary view staged as %s', p_sql);
    select string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' order by a.attnum) into v_columns
    from pg_attribute as a
    where a.attrelid = 'pg_temp.staged'::regclass and a.attnum > 0;
    drop view pg_temp.staged;
    execute format('create type folds.%I as (%s)', p_name, v_columns);
    execute format($f$
create function folds.%1$I(p_from bigint, p_to bigint) returns folds.%1$I []
language plpgsql stable set search_path = pg_catalog, pg_temp
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $body$
-- Written by folds.create_stage from sql_models/staging; changes belong there.
--
-- A step that several folded models begin with, for the window (p_from, p_to] of the log; null where it has no row.
begin
return (
    select array_agg(row(staged.*)::folds.%1$I)
    from (
%2$s
    ) as staged
);
end
$body$ $f$, p_name, folds.windowed(p_sql, '(seq > p_from and seq <= p_to)'));
end
$$;
comment on function folds.create_stage is 'Write the type and the function of a step that models share.';

create function folds.drop_stages() returns void
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
comment on function folds.drop_stages is 'Drop steps that no model shares any more.';

drop function folds.create_functions(text, text, text, text [], text [], boolean);

create function folds.create_functions(m ops.models) returns void
language plpgsql set search_path = pg_catalog, pg_temp set client_min_messages = warning
as $$
declare
    v_columns text := (select string_agg(quote_ident(c), ', ') from unnest(m.columns) as c);
    v_scope text := (select string_agg(quote_ident(c), ', ') from unnest(m.scope_columns) as c);
    v_keys text := (select string_agg('k.' || quote_ident(c), ', ') from unnest(m.scope_columns) as c);
    v_touched text := format('(%s) in (select %s from raw.events as k where k.seq = any(p_touched))', v_scope, v_keys);
    v_of text := (select string_agg(format('t.%I = k.%I', c, c), ' and ') from unnest(m.scope_columns) as c);
    v_merge text := m.merge_sql;
    v_other regprocedure;
begin
    execute format($f$
create or replace function folds.%1$I(p_touched bigint [], p_upto bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp
set enable_hashjoin = on set enable_mergejoin = on set enable_seqscan = on set plan_cache_mode = auto
as $body$
-- Written by folds.create_functions from sql_models/folds/%2$s.sql; changes belong there.
--
-- Tells the rows of marts.%2$s that these events touched again from their whole history up to p_upto: after a retraction, a settled
-- order, or whatever else changes the meaning of what was folded before. A row is found by (%7$s).
begin
delete from marts.%2$I as t using (select distinct %3$s from raw.events as k where k.seq = any(p_touched)) as k where %4$s;
insert into marts.%2$I (%5$s)
select %5$s from (
%6$s
) as refolded;
end
$body$ $f$, 'refold_' || m.name, m.name, v_keys, v_of, v_columns,
        folds.windowed(m.fold_sql, format('(%s and seq <= p_upto)', v_touched)), v_scope);

    if m.staged_as is not null then
        perform folds.create_stage(m.staged_as, m.staged_sql);
        v_merge := replace(v_merge, m.staged_sql, E'\nselect * from unnest(v_staged)\n');
    end if;
    for v_other in
        select p.oid from pg_proc as p where p.pronamespace = 'folds'::regnamespace and p.proname = 'apply_' || m.name
    loop
        execute format('drop function %s', v_other);
    end loop;
    -- One plan for all windows: planning these statements takes as long as running them on a hundred events. Left alone, a
    -- generic plan guesses a window to be half a percent of the log and hashes the whole mart for it; hence the switches.
    execute format($f$
create function folds.%1$I(
    p_from bigint, p_to bigint, p_is_prepared boolean default false, p_touched bigint [] default null%6$s
) returns void
language plpgsql set search_path = pg_catalog, pg_temp
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $body$
-- Written by folds.create_functions from sql_models/folds/%5$s.sql; changes belong there.
--
-- Takes the window (p_from, p_to] of the log into marts.%5$s. First, rows whose past the window changes are told again. Then the
-- model's select runs over the window, and what it says is merged into what was known: t is the row so far, s what the window says.
-- Whoever calls several models prepares what they share and hands it over; called by itself, it prepares for itself.
declare
    v_touched bigint [] := p_touched;%7$s
begin
if not p_is_prepared then
    v_touched := folds.touched(p_from, p_to, %2$L);%8$s
end if;
if v_touched is not null then
    perform folds.%3$I(v_touched, p_from);
end if;

%4$s;
end
$body$ $f$, 'apply_' || m.name, m.fee_sensitive, 'refold_' || m.name,
        replace(folds.windowed(v_merge, '(seq > p_from and seq <= p_to)'), '/*target*/', format('marts.%I', m.name)), m.name,
        case when m.staged_as is not null then format(', p_staged folds.%I [] default null', m.staged_as) else '' end,
        case when m.staged_as is not null then format(E'\n    v_staged folds.%I [] := p_staged;', m.staged_as) else '' end,
        case when m.staged_as is not null then format(E'\n    v_staged := folds.%I(p_from, p_to);', m.staged_as) else '' end);
    perform folds.create_as_of(m.name, m.fold_sql);
end
$$;
comment on function folds.create_functions is
'Write folds.apply_<model>, folds.refold_<model>, marts.<model>_as_of and the step it shares from the model''s texts.';

create or replace function folds.create_dispatcher() returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    execute format($f$
create or replace function folds.apply(p_from bigint, p_to bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $body$
-- Written by folds.create_dispatcher from ops.models.
--
-- Takes the window (p_from, p_to] of the log into every healthy mart that listens to something in it. What several models ask of the
-- window is found out once.
declare
    v_news text [];
    v_stale text [];
    v_touched bigint [];
    v_priced bigint [];%s
begin
select array_agg(distinct n) into v_news from (
    select name as n from raw.events where seq > p_from and seq <= p_to
    union all
    select kind from raw.feed where seq > p_from and seq <= p_to and kind <> 'event'
) as news;
select coalesce(array_agg(name), '{}') into v_stale from ops.models where stale_since is not null;
if v_news && '{retracted,moved}' then
    v_touched := folds.touched(p_from, p_to, false);
end if;
%s

%s
end
$body$ $f$, (
        select string_agg(distinct format(E'\n    v_%s folds.%I [];', staged_as, staged_as), '')
        from ops.models where staged_as is not null
    ), (
        select string_agg(said, E'\n' order by said)
        from (
            select format(
                E'if v_news && %L then\n    v_priced := folds.touched(p_from, p_to, true);\nend if;',
                array_agg(distinct news.name) || array['retracted', 'moved']
            ) as said
            from ops.models as m
            cross join lateral unnest(m.listens_to) as news (name)
            where m.fee_sensitive
            having count(*) > 0
            union all
            select format(
                E'if v_news && %L then\n    v_%s := folds.%I(p_from, p_to);\nend if;', array_agg(distinct news.name), m.staged_as, m.staged_as
            )
            from ops.models as m
            cross join lateral unnest(m.listens_to) as news (name)
            where m.staged_as is not null
            group by m.staged_as
        ) as prepared
    ), (
        select string_agg(format(
            E'if v_news && %L and not %L = any(v_stale) then\n    perform folds.%I(p_from, p_to, true, %s%s);\nend if;',
            listens_to || array['retracted', 'moved'], name, 'apply_' || name,
            case when fee_sensitive then 'v_priced' else 'v_touched' end, ', v_' || staged_as
        ), E'\n' order by name)
        from ops.models
    ));
end
$$;

create or replace function folds.fold(p_from bigint, p_to bigint) returns void
language plpgsql security definer
-- The fold's own bound: whoever sits on a mart's lock stops that mart, not the log.
set search_path = pg_catalog, pg_temp set lock_timeout = '2s'
as $$
declare
    v_began timestamptz := clock_timestamp();
    v_model text;
    v_state text;
    v_reason text;
    v_context text;
    v_tried int := 0;
    v_failed text [] := '{}';
    v_states text [] := '{}';
    v_reasons text [] := '{}';
begin
    if to_regprocedure('folds.apply(bigint, bigint)') is null then
        return;
    end if;
    begin
        perform folds.apply(p_from, p_to);
        return;
    exception when query_canceled or others then
        get stacked diagnostics
            v_state = returned_sqlstate, v_reason = message_text, v_context = pg_exception_context;
        if folds.is_environmental(v_state) then
            raise;
        end if;
        if v_state = '57014' then
            -- The timer of a statement rings once: the model it rang in is not tried again, and the others are not late.
            v_model := (regexp_match(v_context, 'folds\.(?:apply|refold)_(\w+)\('))[1];
            select array_agg(name) into v_failed
            from ops.models
            where
                stale_since is null
                -- In a step that is shared, all who share it are late.
                and (name = v_model or v_model is null and strpos(v_context, 'folds.' || staged_as || '(') > 0);
            if
                v_failed is null or not folds.is_out_of_time(v_reason, statement_timestamp())
                -- Time that was spent elsewhere, waiting for a lock or a disk, says nothing about a model.
                or clock_timestamp() - v_began < 0.5 * current_setting('statement_timeout')::interval
            then
                raise;
            end if;
            v_states := array_fill(v_state, array[cardinality(v_failed)]);
            v_reasons := array_fill(v_reason, array[cardinality(v_failed)]);
        end if;
    end;
    for v_model in select name from ops.models where stale_since is null and name <> all(v_failed) order by name loop
        v_tried := v_tried + 1;
        begin
            execute format('select folds.%I($1, $2)', 'apply_' || v_model) using p_from, p_to;
        exception when others then
            get stacked diagnostics v_state = returned_sqlstate, v_reason = message_text;
            if folds.is_environmental(v_state) then
                raise;
            end if;
            v_failed := v_failed || v_model;
            v_states := v_states || v_state;
            v_reasons := v_reasons || v_reason;
        end;
    end loop;
    if cardinality(v_failed) = v_tried and v_tried > 1 and left(v_states[1], 2) in ('53', '55') then
        -- All of them at once, for want of something: that is the server.
        raise exception '%', v_reasons[1] using errcode = v_states[1];
    end if;
    for i in 1 .. cardinality(v_failed) loop
        perform folds.mark_stale(v_failed[i], p_from, case
            -- Whether a part of the window would have fitted in the time or memory says nothing of an event.
            when left(v_states[i], 2) not in ('53', '55', '57') then folds.first_failing(v_failed[i], p_from, p_to)
        end, v_reasons[i]);
    end loop;
end
$$;
comment on function folds.fold is
'Merge the window (from, to] of the feed into every healthy folded mart, in the caller''s transaction. A model that fails, or takes all of the statement''s time, is marked stale, never the log. Raises what is the server''s condition, and the caller''s cancel.';

create or replace function folds.install(
    m ops.models, p_create text, p_after text []
) returns text
language plpgsql set search_path = pg_catalog, pg_temp set work_mem = '256MB' set client_min_messages = warning
as $$
declare
    v_live regclass := to_regclass(format('marts.%I', m.name));
    v_beside text := format('marts.%I', m.name || '__beside');
    v_columns text := (select string_agg(quote_ident(c), ', ') from unnest(m.columns) as c);
    v_to bigint;
    v_head bigint;
    v_in_place boolean;
    v_built bigint;
begin
    if v_live is not null and exists (
        select from ops.models as known
        where known.name = m.name and known.definition_hash = m.definition_hash and known.stale_since is null
    ) and to_regproc(format('folds.%I', 'apply_' || m.name)) is not null then
        return 'FOLD unchanged';
    end if;
    execute format('drop table if exists %s', v_beside);
    execute format('create table %s (%s)', v_beside, p_create);
    v_in_place := v_live is not null and folds.columns_of(v_live) = folds.columns_of(v_beside::regclass);
    select coalesce(max(seq), 0) into v_to from raw.feed;
    if v_in_place then
        m.indexes := folds.finish_beside(v_beside, p_after);
        execute format('drop table %s', v_beside);
    else
        execute format('insert into %s (%s) select %s from (%s) as built', v_beside, v_columns, v_columns,
            folds.windowed(m.fold_sql, format('(seq <= %s)', v_to)));
        get diagnostics v_built = row_count;
        m.indexes := folds.finish_beside(v_beside, p_after);
        if v_built > 0 then
            -- An empty table is better left to the planner's guess, which is ten pages: known to be empty, it would be walked.
            execute format('analyze %s', v_beside);
        end if;
        perform raw.take_writer();
        select coalesce(max(seq), 0) into v_head from raw.feed;
        if v_head > v_to then
            perform folds.catch_up(v_beside, m, v_to, v_head);
        end if;
        perform folds.swap(m.name);
    end if;
    m.built_to := v_to;
    m.built_at := clock_timestamp();
    m.stale_since := null;
    m.applied_seq := null;
    delete from ops.models where name = m.name;
    insert into ops.models select m.*;
    perform folds.create_functions(m);
    perform folds.create_dispatcher();
    perform folds.drop_stages();
    if v_in_place then
        return format('FOLD in place, %s rows changed', folds.rebuild(m.name));
    end if;
    return 'FOLD built';
end
$$;

-- The plans of a batch are those of one backend: workers take longer to start than a batch to append.
alter function raw.append_events set max_parallel_workers_per_gather = 0;
alter function raw.append set max_parallel_workers_per_gather = 0;

revoke execute on function folds.create_stage, folds.drop_stages, folds.create_functions from public;

-- What is installed already gets them without waiting for its next change.
do $$
declare
    m ops.models;
begin
    for m in select * from ops.models where to_regclass(format('marts.%I', name)) is not null loop
        perform folds.create_functions(m);
    end loop;
    if found then
        perform folds.create_dispatcher();
    end if;
end
$$;
