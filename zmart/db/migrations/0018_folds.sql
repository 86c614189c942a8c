-- What folding a window does when a model fails, however it fails; the program's market maker in SQL; sells whose balance does
-- not tell their gross; indexes that change; and what stands on a mart when it is swapped.

-- ---- a model that fails --------------------------------------------------------------------------------------------------
-- The log always commits. Whatever a model runs into (bad data, a lock it does not get, memory, the statement's time) takes that
-- model out of the live path, not the append. Three things are not a model's fault and still refuse the append, which its
-- deliverer then repeats: a server that is going down or full, a deadlock, and a caller who cancels.

create or replace function folds.is_environmental(p_sqlstate text) returns boolean
language sql immutable parallel safe
return p_sqlstate in ('53100', '53300', 'XX001', 'XX002') or left(p_sqlstate, 2) in ('08', '40', '58')
or (left(p_sqlstate, 2) = '57' and p_sqlstate <> '57014');
comment on function folds.is_environmental is
'Whether an error is the server''s condition (disk, connections, shutdown, deadlock, corruption) whatever the model does.';

-- Postgres gives a timeout and a cancel one SQLSTATE. The words tell them apart where they are English; elsewhere the clock.
create function folds.is_out_of_time(p_words text, p_began timestamptz) returns boolean
language sql stable
return
case
    when p_words like '%statement timeout%' then true
    when p_words like '%user request%' then false
    else current_setting('statement_timeout')::interval > interval '0'
        and clock_timestamp() - p_began > 0.95 * current_setting('statement_timeout')::interval
end;
comment on function folds.is_out_of_time is
'Whether a 57014 with these words, of a statement that began then, was its own timeout rather than somebody''s cancel.';

create or replace function folds.mark_stale(p_model text, p_applied_seq bigint, p_failed_event bigint, p_reason text) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    update ops.models
    set stale_since = clock_timestamp(), applied_seq = p_applied_seq, failed_event = p_failed_event, reason = p_reason
    where name = p_model and stale_since is null;
    insert into raw.feed (seq, kind) values (raw.next_seq(), 'mart_stale');
    perform ops.raise_alert('mart_stale', p_model, 'critical', format(
        'The mart %s stopped at seq %s: %s failed with "%s". Ingest goes on. Mend the model, then run: zmart rebuild %s',
        p_model, p_applied_seq, coalesce('event ' || p_failed_event, 'what came next'), p_reason, p_model));
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
            if
                v_model is null or not folds.is_out_of_time(v_reason, statement_timestamp())
                -- Time that was spent elsewhere, waiting for a lock or a disk, says nothing about a model.
                or clock_timestamp() - v_began < 0.5 * current_setting('statement_timeout')::interval
            then
                raise;
            end if;
            v_failed := array[v_model];
            v_states := array[v_state];
            v_reasons := array[v_reason];
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

-- ---- the market maker (protocol.md 2) ------------------------------------------------------------------------------------
-- u64 with nine decimals, every division floors, the program's own approximations: to the lamport, not to the truth.
-- zmart/domain/lmsr.py is the same in Python. Null where the program refuses.

create schema lmsr;
comment on schema lmsr is 'The program''s market maker, bit for bit: exp, ln, cost, price_yes, proceeds (protocol.md 2).';
grant usage on schema lmsr to zmart_ingest, zmart_keeper, zmart_api, analyst;

create function lmsr.exp(x numeric) returns numeric
language sql immutable parallel safe
return
case when x between 0 and 20000000000 then
    div(
        (1000000000 + div(x, 2) + div(div(x * x, 1000000000), 12)) * 1000000000,
        1000000000 - div(x, 2) + div(div(x * x, 1000000000), 12)
    )
end;
comment on function lmsr.exp is 'The program''s e to the x, a Padé approximant that peaks near 3.46; null beyond 20.0 (ExponentTooLarge).';

create function lmsr.ln(x numeric) returns numeric
language sql immutable parallel safe
begin atomic
    select
        case
            when x = 1000000000 then 0
            when x = 2000000000 then 693147180
            when x > 1000000000 and x < 2000000000 then 2 * (s.y + div(c.y3, 3) + div(div(c.y3 * q.y2, 1000000000), 5))
        end
    from (select div((x - 1000000000) * 1000000000, nullif(x + 1000000000, 0)) as y) as s
    cross join lateral (select div(s.y * s.y, 1000000000) as y2) as q
    cross join lateral (select div(q.y2 * s.y, 1000000000) as y3) as c;
end;
comment on function lmsr.ln is 'The program''s natural logarithm from 1.0 to 2.0, all that the cost function asks for; null elsewhere.';

create function lmsr.is_u64(x numeric) returns boolean
language sql immutable parallel safe
return x between 0 and 18446744073709551615;

create function lmsr.price_yes(q_yes numeric, q_no numeric, b numeric) returns numeric
language sql immutable parallel safe
begin atomic
    select
        case
            when b < 100000000000 or not lmsr.is_u64(q_yes) or not lmsr.is_u64(q_no) then null
            when q_yes >= q_no then div(p.e * 1000000000, p.e + 1000000000)
            else div(1000000000 * 1000000000::numeric, p.e + 1000000000)
        end
    from (select lmsr.exp(div(abs(q_yes - q_no) * 1000000000, nullif(b, 0))) as e) as p;
end;
comment on function lmsr.price_yes is
'Price of a YES share, nine decimals, from the shares of both sides and b; null below b = 100 SOL or beyond 20 b of imbalance. It falls again past 3.46 b (protocol.md 2.6).';

create function lmsr.cost(q_yes numeric, q_no numeric, b numeric) returns numeric
language sql immutable parallel safe
begin atomic
    select
        case
            when
                b >= 100000000000 and lmsr.is_u64(q_yes) and lmsr.is_u64(q_no) and lmsr.is_u64(c.lamports)
                then c.lamports
        end
    from (select div(q_yes * 1000000000, nullif(b, 0)) as u, div(q_no * 1000000000, nullif(b, 0)) as v) as r
    cross join lateral (
        select div(
            b * (greatest(r.u, r.v) + lmsr.ln(
                1000000000 + div(1000000000 * 1000000000::numeric, lmsr.exp(abs(r.u - r.v)))
            )),
            1000000000
        ) as lamports
    ) as c;
end;
comment on function lmsr.cost is 'The cost function C in lamports; a trade costs the difference of two of these. Null where the program refuses.';

create function lmsr.proceeds(q_yes numeric, q_no numeric, b numeric, is_yes boolean, shares numeric) returns numeric
language sql immutable parallel safe
begin atomic
    select case when g.lamports >= 0 then g.lamports end
    from (
        select lmsr.cost(q_yes, q_no, b) - case
            when is_yes then lmsr.cost(q_yes - shares, q_no, b) else lmsr.cost(q_yes, q_no - shares, b)
        end as lamports
    ) as g;
end;
comment on function lmsr.proceeds is
'Gross lamports of selling shares of one side, before fees, from the totals before the sell. Null where the program refuses.';

revoke execute on all functions in schema lmsr from public;
grant execute on all functions in schema lmsr to zmart_ingest, zmart_keeper, zmart_api, analyst;

-- ---- sells whose balance does not tell their gross (protocol.md 8.6) -----------------------------------------------------
-- Their gross follows from the market's b, or from its totals before them, so that whatever changes those tells these sells again.

-- Creations alone, for the b of a market.
create index events_creations on raw.events (market_no) where name = 'MarketCreated';

create function folds.retold(p_from bigint, p_to bigint, p_touched bigint [], p_all boolean) returns bigint []
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
declare
    v_since bigint;
    v_every boolean := p_all or exists (select from ops.models where name = 'trades' and stale_since is not null);
begin
    if not v_every then
        -- A migration comes before the models that go with it; the log does not wait for them.
        if not exists (
            select from pg_attribute
            where attrelid = to_regclass('marts.trades') and attname = 'gross_from' and not attisdropped
        ) then
            return null;
        end if;
        -- Nearly always nothing after the window depends on it, and this is all that happens.
        -- The + 0 keeps the planner from looking for the least by walking the index on order_key through all of the log.
        select min(e.order_key + 0) into v_since
        from raw.events as e
        where e.seq > p_from and e.seq <= p_to and e.name in ('MarketCreated', 'SharesBought', 'SharesSold');
        if p_touched is null and not exists (
            select from marts.trades where gross_from in ('totals', 'awaited') and order_key > v_since
        ) and not exists (
            select from raw.events where seq > p_from and seq <= p_to and name = 'MarketCreated'
        ) then
            return null;
        end if;
    end if;
    return (
        select array_agg(sold.seq)
        from (
            select w.market_no, min(w.since) as since, bool_or(w.is_creation) as is_creation
            from (
                select e.market_no, e.order_key as since, e.name = 'MarketCreated' as is_creation
                from raw.events as e
                where e.seq > p_from and e.seq <= p_to and e.name in ('MarketCreated', 'SharesBought', 'SharesSold')
                union all
                -- Where it stood before is not known.
                select e.market_no, 0, e.name = 'MarketCreated'
                from raw.events as e
                where e.seq = any(p_touched) and e.name in ('MarketCreated', 'SharesBought', 'SharesSold')
            ) as w
            group by w.market_no
        ) as changed
        inner join raw.events as sold on sold.market_no = changed.market_no and sold.order_key > changed.since
        where
            sold.name = 'SharesSold' and sold.seq <= p_from
            -- Later trades wait for earlier ones, all that b settles or would settle for b.
            and (v_every or exists (
                select from marts.trades as t
                where
                    t.seq = sold.seq
                    and (t.gross_from in ('totals', 'awaited') or changed.is_creation and t.gross_from in ('step', 'guess'))
            ))
    );
end
$$;
comment on function folds.retold is
'Seqs of sells before the window whose gross follows from a b or from totals that the window changes. With p_all, or while marts.trades is stale, every sell after a change.';

create or replace function folds.touched(
    p_from bigint, p_to bigint, p_fee_sensitive boolean, p_all boolean default false
) returns bigint []
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
declare
    v_touched bigint [];
    v_others bigint [];
begin
    select array_agg(distinct ref) into v_touched
    from raw.feed
    where seq > p_from and seq <= p_to and kind in ('retracted', 'moved');
    if p_fee_sensitive then
        v_others := folds.repriced(p_from, p_to, v_touched, p_all) || folds.retold(p_from, p_to, v_touched, p_all);
    end if;
    return nullif(coalesce(v_touched, '{}') || coalesce(v_others, '{}'), '{}');
end
$$;
comment on function folds.touched is
'Seqs of events before the window whose contribution the window changes, or null: retracted, moved, and for models that split fees those under other rates or after other totals.';

-- ---- indexes that change ---------------------------------------------------------------------------------------------------

alter table ops.models add column indexes text [];
comment on column ops.models.indexes is 'The indexes that the model asks for, as Postgres writes them after USING; null before it was installed with them.';
alter table ops.refreshed add column indexes text [];
comment on column ops.refreshed.indexes is 'The indexes that the model asks for, as Postgres writes them after USING.';

create function folds.indexes_of(p_table regclass) returns text []
language sql stable
begin atomic
    select coalesce(array_agg(substring(pg_get_indexdef(i.indexrelid) from ' USING (.*)$') order by i.indexrelid), '{}')
    from pg_index as i
    where i.indrelid = p_table and i.indisvalid and not i.indisprimary;
end;
comment on function folds.indexes_of is 'The valid indexes of a table beside its primary key, without their names, to compare two tables.';

create function folds.index_changes() returns setof text
language sql stable set search_path = pg_catalog, pg_temp
begin atomic
    select format('drop index concurrently if exists %s', i.indexrelid::regclass)
    from pg_index as i
    inner join pg_class as c on c.oid = i.indrelid
    where not i.indisvalid and c.relnamespace = 'marts'::regnamespace
    union all
    select format('create index concurrently on marts.%I using %s', m.name, wanted.definition)
    from (
        select name, indexes from ops.models
        union all
        select name, indexes from ops.refreshed
    ) as m
    cross join lateral unnest(m.indexes) as wanted (definition)
    where
        to_regclass(format('marts.%I', m.name)) is not null
        and wanted.definition <> all(folds.indexes_of(to_regclass(format('marts.%I', m.name))));
end;
comment on function folds.index_changes is
'Statements, each to be run outside a transaction, that give live marts the indexes their models ask for. An index that no model asks for any more is left alone.';

-- ---- what stands on a mart ------------------------------------------------------------------------------------------------

create function folds.standing_on(p_table regclass) returns table (depth int, name text, kind "char", statements text [])
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
    -- Somebody's temporary view goes with the table; nobody else may make it again.
    where not pg_is_other_temp_schema(c.relnamespace) and c.relnamespace <> pg_my_temp_schema()
    group by a.oid, c.relkind, c.reloptions, c.relacl, c.relowner;
end;
comment on function folds.standing_on is
'What stands on a table, the nearest first, with the statements that make it again: definition, options, grants, comments, owner.';

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
    create temporary table above_it on commit drop as select * from folds.standing_on(v_live);
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
drop function folds.dependent_views(regclass);

-- ---- installing -------------------------------------------------------------------------------------------------------------

create function folds.finish_beside(p_beside text, p_after text []) returns text []
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    v_after text;
begin
    foreach v_after in array p_after loop
        execute replace(v_after, '/*target*/', p_beside);
    end loop;
    return folds.indexes_of(p_beside::regclass);
end
$$;
comment on function folds.finish_beside is 'Give a table that is built beside its keys, indexes and storage; returns the indexes.';

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
    ) and to_regprocedure(format('folds.%I(bigint, bigint)', 'apply_' || m.name)) is not null then
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
    perform folds.create_functions(m.name, m.fold_sql, m.merge_sql, m.columns, m.scope_columns, m.fee_sensitive);
    perform folds.create_dispatcher();
    if v_in_place then
        return format('FOLD in place, %s rows changed', folds.rebuild(m.name));
    end if;
    return 'FOLD built';
end
$$;

create or replace function folds.install_refreshed(r ops.refreshed, p_create text, p_after text []) returns text
language plpgsql set search_path = pg_catalog, pg_temp set client_min_messages = warning
as $$
declare
    v_live regclass := to_regclass(format('marts.%I', r.name));
    v_beside text := format('marts.%I', r.name || '__beside');
    v_columns text := (select string_agg(quote_ident(c), ', ') from unnest(r.columns) as c);
    v_known ops.refreshed;
begin
    lock table ops.refreshed in share row exclusive mode;
    select * into v_known from ops.refreshed where name = r.name;
    execute format('drop table if exists %s', v_beside);
    execute format('create table %s (%s)', v_beside, p_create);
    r.refreshed_at := clock_timestamp();
    r.seconds := 0;
    r.changed_rows := 0;
    if v_live is not null and v_known.name is not null and folds.columns_of(v_live) = folds.columns_of(v_beside::regclass) then
        r.indexes := folds.finish_beside(v_beside, p_after);
        execute format('drop table %s', v_beside);
        r.applied_seq := v_known.applied_seq;
        delete from ops.refreshed where name = r.name;
        insert into ops.refreshed select r.*;
        return format('REFRESHED in place, %s rows changed', folds.refresh(r.name));
    end if;
    r.applied_seq := folds.recompute(r);
    execute format('insert into %s (%s) select %s from pg_temp.rebuilt', v_beside, v_columns, v_columns);
    get diagnostics r.changed_rows = row_count;
    drop table pg_temp.rebuilt;
    r.indexes := folds.finish_beside(v_beside, p_after);
    if r.changed_rows > 0 then
        execute format('analyze %s', v_beside);
    end if;
    perform folds.swap(r.name);
    delete from ops.refreshed where name = r.name;
    insert into ops.refreshed select r.*;
    return 'REFRESHED built';
end
$$;

revoke execute on function folds.is_out_of_time, folds.retold, folds.indexes_of, folds.index_changes, folds.standing_on,
folds.finish_beside from public;
