-- How the log becomes marts. The functions folds.apply(from, to) and folds.apply_<model>(from, to) are generated from
-- the dbt models (sql_macros/fold.sql); this file holds what does not depend on any model: calling them safely.

create schema folds;
comment on schema folds is 'Generated functions that merge a window of the log into the folded marts.';
create schema marts;
comment on schema marts is 'What readers read: markets, trades, positions, ballots and what follows from them.';

create function folds.is_environmental(p_sqlstate text) returns boolean
language sql immutable parallel safe
return left(p_sqlstate, 2) in ('40', '53', '55', '57', '58') or p_sqlstate = 'XX000';
comment on function folds.is_environmental is
'Whether an error is the server''s condition (deadlock, memory, disk, lock, shutdown) rather than a model''s fault.';

create function folds.first_failing(p_model text, p_from bigint, p_to bigint) returns bigint
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
comment on function folds.first_failing is 'The first seq of a failing window that the model cannot take, by bisection; leaves no trace.';

create function folds.mark_stale(p_model text, p_applied_seq bigint, p_failed_event bigint, p_reason text) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    update ops.models
    set stale_since = clock_timestamp(), applied_seq = p_applied_seq, failed_event = p_failed_event, reason = p_reason
    where name = p_model and stale_since is null;
    insert into raw.feed (seq, kind) values (raw.next_seq(), 'mart_stale');
    perform ops.raise_alert('mart_stale', p_model, 'critical', format(
        'The mart %s stopped at seq %s: event %s failed with "%s". Ingest goes on. Mend the model, then run: zmart rebuild %s',
        p_model, p_applied_seq, p_failed_event, p_reason, p_model));
end
$$;
comment on function folds.mark_stale is 'Take a model out of the live path until a rebuild mends it, and tell everyone.';

-- The log always commits. One model that raises is found, marked and skipped; the others have their window.
create function folds.fold(p_from bigint, p_to bigint) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_model text;
    v_state text;
    v_reason text;
begin
    if to_regprocedure('folds.apply(bigint, bigint)') is null then
        return;
    end if;
    begin
        perform folds.apply(p_from, p_to);
        return;
    exception when others then
        get stacked diagnostics v_state = returned_sqlstate;
        if folds.is_environmental(v_state) then
            raise;
        end if;
    end;
    for v_model in select name from ops.models where stale_since is null order by name loop
        begin
            execute format('select folds.%I($1, $2)', 'apply_' || v_model) using p_from, p_to;
        exception when others then
            get stacked diagnostics v_state = returned_sqlstate, v_reason = message_text;
            if folds.is_environmental(v_state) then
                raise;
            end if;
            perform folds.mark_stale(v_model, p_from, folds.first_failing(v_model, p_from, p_to), v_reason);
        end;
    end loop;
end
$$;
comment on function folds.fold is
'Merge the window (from, to] of the feed into every healthy folded mart, in the caller''s transaction. A model that fails is marked stale, never the log.';

-- Which earlier events a window changes the meaning of: those it retracts or moves, and, for models that split fees,
-- trades that a configuration arriving late puts under other rates.
create function folds.touched(
    p_from bigint, p_to bigint, p_fee_sensitive boolean, p_all boolean default false
) returns bigint []
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
declare
    v_touched bigint [];
    v_repriced bigint [];
begin
    select array_agg(distinct ref) into v_touched
    from raw.feed
    where seq > p_from and seq <= p_to and kind in ('retracted', 'moved');
    if p_fee_sensitive then
        v_repriced := folds.repriced(p_from, p_to, v_touched, p_all);
    end if;
    return nullif(coalesce(v_touched, '{}') || coalesce(v_repriced, '{}'), '{}');
end
$$;
comment on function folds.touched is 'Seqs of events before the window whose contribution the window changes, or null.';

create function folds.repriced(p_from bigint, p_to bigint, p_touched bigint [], p_all boolean) returns bigint []
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
declare
    v_since bigint;
    v_until bigint;
begin
    select min(order_key) into v_since
    from raw.events
    where
        market_no is null and name in ('ConfigUpdated', 'GlobalConfigInitialized')
        and (seq > p_from and seq <= p_to or seq = any(p_touched));
    if v_since is null then
        return null;
    end if;
    -- The next configuration that was known before ends what this one can change.
    select min(order_key) into v_until
    from raw.events
    where
        market_no is null and name in ('ConfigUpdated', 'GlobalConfigInitialized') and retracted_at is null
        and order_key > (
            select max(order_key)
            from raw.events
            where
                market_no is null and name in ('ConfigUpdated', 'GlobalConfigInitialized')
                and (seq > p_from and seq <= p_to or seq = any(p_touched))
        );
    return (
        select array_agg(e.seq)
        from raw.events as e
        left join marts.trades as t on t.seq = e.seq
        cross join lateral folds.fees_in_force(e.order_key) as f
        where
            e.order_key > v_since and (v_until is null or e.order_key < v_until)
            and e.seq <= p_from and e.name in ('SharesBought', 'SharesSold')
            and (
                p_all
                or (t.protocol_bps, t.resolver_bps, t.lp_bps) is distinct from (f.protocol_bps, f.resolver_bps, f.lp_bps)
            )
    );
end
$$;
comment on function folds.repriced is
'Seqs of trades whose fee rates differ from those of marts.trades, because a configuration of this window precedes them on chain; a trade that is not there counts as different. With p_all, every trade whose rates the window may change: for tables that are being built beside the live one.';

-- Returns a table, so that the planner inlines it: as a call it would cost more than the rest of a trade's fold.
create function folds.fees_in_force(p_order_key bigint)
returns table (protocol_bps int, resolver_bps int, lp_bps int)
language sql stable rows 1
begin atomic
    select coalesce(c.protocol_bps, 300), coalesce(c.resolver_bps, 200), coalesce(c.lp_bps, 500)
    from (select) as one
    left join lateral (
        select
            (e.payload ->> 'protocol_fee_bps')::int as protocol_bps,
            (e.payload ->> 'resolver_reward_bps')::int as resolver_bps,
            (e.payload ->> 'liquidity_provider_fee_bps')::int as lp_bps
        from raw.events as e
        where
            e.market_no is null and e.order_key < p_order_key and e.retracted_at is null
            and e.name in ('ConfigUpdated', 'GlobalConfigInitialized')
        order by e.order_key desc
        limit 1
    ) as c on true;
end;
comment on function folds.fees_in_force is
'Fee rates by which the program split a trade at this place on chain; those of initialize before any configuration event (protocol.md 1.4.1).';

-- The window marker. A model's compiled select holds it where its log rows are read; as it stands it means all history.
create function folds.windowed(p_sql text, p_window text) returns text
language sql immutable parallel safe
return replace(p_sql, '(true /*fold*/)', p_window);

create function folds.columns_of(p_table regclass) returns text
language sql stable
begin atomic
    select string_agg(format(
        '%s %s %s %s', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid)
    ), ', ' order by a.attnum)
    from pg_attribute as a
    left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = p_table and a.attnum > 0 and not a.attisdropped;
end;
comment on function folds.columns_of is 'Names, types and expressions of a table''s columns as one text, to compare two tables.';

create function folds.create_functions(p_model text, p_fold text, p_merge text, p_columns text [], p_scope text [], p_fees boolean)
returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    v_columns text := (select string_agg(quote_ident(c), ', ') from unnest(p_columns) as c);
    v_scope text := (select string_agg(quote_ident(c), ', ') from unnest(p_scope) as c);
    v_keys text := (select string_agg('k.' || quote_ident(c), ', ') from unnest(p_scope) as c);
    v_touched text := format('(%s) in (select %s from raw.events as k where k.seq = any(p_touched))', v_scope, v_keys);
    v_of text := (select string_agg(format('t.%I = k.%I', c, c), ' and ') from unnest(p_scope) as c);
begin
    execute format($f$
create or replace function folds.%1$I(p_touched bigint [], p_upto bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp
set enable_hashjoin = on set enable_mergejoin = on set enable_seqscan = on set plan_cache_mode = auto
as $body$
begin
-- Fold the keys of these events again from their whole history up to p_upto.
delete from marts.%2$I as t using (select distinct %3$s from raw.events as k where k.seq = any(p_touched)) as k where %4$s;
insert into marts.%2$I (%5$s)
select %5$s from (
%6$s
) as refolded;
end
$body$ $f$, 'refold_' || p_model, p_model, v_keys, v_of, v_columns,
        folds.windowed(p_fold, format('(%s and seq <= p_upto)', v_touched)));
    -- One plan for all windows: planning these statements takes as long as running them on a hundred events. Left alone, a
    -- generic plan guesses a window to be half a percent of the log and hashes the whole mart for it; hence the switches.
    execute format($f$
create or replace function folds.%1$I(p_from bigint, p_to bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set plan_cache_mode = force_generic_plan
as $body$
declare
    v_touched bigint [] := folds.touched(p_from, p_to, %2$L);
begin
if v_touched is not null then
    perform folds.%3$I(v_touched, p_from);
end if;
%4$s;
end
$body$ $f$, 'apply_' || p_model, p_fees, 'refold_' || p_model,
        replace(folds.windowed(p_merge, '(seq > p_from and seq <= p_to)'), '/*target*/', format('marts.%I', p_model)));
end
$$;
comment on function folds.create_functions is 'Write folds.apply_<model> and folds.refold_<model> from the model''s texts.';

create function folds.create_dispatcher() returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    execute format($f$
create or replace function folds.apply(p_from bigint, p_to bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $body$
declare
    v_news text [];
    v_stale text [];
begin
select array_agg(distinct n) into v_news from (
    select name as n from raw.events where seq > p_from and seq <= p_to
    union all
    select kind from raw.feed where seq > p_from and seq <= p_to and kind <> 'event'
) as news;
select coalesce(array_agg(name), '{}') into v_stale from ops.models where stale_since is not null;
%s
end
$body$ $f$, (
        select string_agg(format(
            E'if v_news && %L and not %L = any(v_stale) then\n    perform folds.%I(p_from, p_to);\nend if;',
            listens_to || array['retracted', 'moved'], name, 'apply_' || name
        ), E'\n' order by name)
        from ops.models
    ));
end
$$;
comment on function folds.create_dispatcher is 'Write folds.apply, one arm per model of ops.models.';

create function folds.catch_up(p_target text, p_model ops.models, p_from bigint, p_to bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    v_touched bigint [] := folds.touched(p_from, p_to, p_model.fee_sensitive, p_all => true);
    v_scope text := (select string_agg(quote_ident(c), ', ') from unnest(p_model.scope_columns) as c);
    v_columns text := (select string_agg(quote_ident(c), ', ') from unnest(p_model.columns) as c);
    v_in text;
begin
    if v_touched is not null then
        v_in := format('(%s) in (select %s from raw.events where seq = any(%L::bigint []))', v_scope, v_scope, v_touched);
        execute format('delete from %s where %s', p_target, v_in);
        execute format('insert into %s (%s) select %s from (%s) as refolded', p_target, v_columns, v_columns,
            folds.windowed(p_model.fold_sql, format('(%s and seq <= %s)', v_in, p_from)));
    end if;
    execute replace(folds.windowed(p_model.merge_sql, format('(seq > %s and seq <= %s)', p_from, p_to)), '/*target*/', p_target);
end
$$;
comment on function folds.catch_up is 'Merge a window into a table that is being built beside the live one.';

create function folds.rebuild(p_name text) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp set work_mem = '256MB' set client_min_messages = warning
as $$
declare
    m ops.models;
    v_to bigint;
    v_head bigint;
    v_changed bigint;
begin
    select * into strict m from ops.models where name = p_name;
    drop table if exists pg_temp.rebuilt;
    select coalesce(max(seq), 0) into v_to from raw.feed;
    execute format('create temporary table rebuilt on commit drop as %s', folds.windowed(m.fold_sql, format('(seq <= %s)', v_to)));
    execute 'analyze rebuilt';
    -- Readers go on; only from here on does the log wait.
    perform raw.take_writer();
    select coalesce(max(seq), 0) into v_head from raw.feed;
    if v_head > v_to then
        execute format('create index on rebuilt (%s)', array_to_string(m.key_columns, ', '));
        perform folds.catch_up('rebuilt', m, v_to, v_head);
    end if;
    execute folds.difference_sql(m);
    get diagnostics v_changed = row_count;
    update ops.models
    set built_to = v_head, built_at = clock_timestamp(), stale_since = null, applied_seq = null, failed_event = null, reason = null
    where name = p_name;
    update ops.alerts set resolved_at = clock_timestamp()
    where kind = 'mart_stale' and subject = p_name and resolved_at is null;
    drop table pg_temp.rebuilt;
    return v_changed;
end
$$;
comment on function folds.rebuild is
'Fold a model again from the whole log and merge what differs into the live mart, in place: readers, grants and views keep it. Returns the rows that differed.';

create function folds.distinct_sql(p_columns text []) returns text
language sql immutable
return (
    select format('(%s) is distinct from (%s)', string_agg(format('n.%I', c), ', '), string_agg(format('o.%I', c), ', '))
    from unnest(p_columns) as c
);

create function folds.join_sql(p_key text []) returns text
language sql immutable
return (select string_agg(format('n.%I = o.%I', c, c), ' and ') from unnest(p_key) as c);

create function folds.difference_sql(m ops.models) returns text
language sql stable
return (
    select format($f$
        merge into marts.%1$I as t using (
            select o.ctid as old_row, n.%2$I is null as is_gone, n.*
            from pg_temp.rebuilt as n
            full join marts.%1$I as o on %3$s
            where n.%2$I is null or o.%2$I is null or %4$s
        ) as s on t.ctid = s.old_row
        when matched and s.is_gone then delete
        when matched then update set %5$s
        when not matched then insert (%6$s) values (%7$s)$f$,
        m.name, m.key_columns[1], folds.join_sql(m.key_columns), folds.distinct_sql(m.columns),
        string_agg(format('%I = s.%I', c, c), ', '),
        string_agg(quote_ident(c), ', '),
        string_agg(format('s.%I', c), ', '))
    from unnest(m.columns) as c
);
comment on function folds.difference_sql is 'The merge that turns a live mart into its rebuilt self, touching only rows that differ.';

create function folds.differences(p_name text) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp set work_mem = '256MB' set client_min_messages = warning
as $$
declare
    m ops.models;
    v_differing bigint;
begin
    select * into strict m from ops.models where name = p_name;
    drop table if exists pg_temp.rebuilt;
    execute format('create temporary table rebuilt on commit drop as %s', folds.windowed(m.fold_sql, '(true)'));
    execute format(
        'select count(*) from pg_temp.rebuilt as n full join marts.%I as o on %s where n.%I is null or o.%I is null or %s',
        m.name, folds.join_sql(m.key_columns), m.key_columns[1], m.key_columns[1], folds.distinct_sql(m.columns)
    ) into v_differing;
    drop table pg_temp.rebuilt;
    return v_differing;
end
$$;
comment on function folds.differences is
'How many rows of a mart differ from a rebuild, both ways, all columns. Call it in a REPEATABLE READ transaction: one snapshot for both.';

-- Views that stand on a table, the nearest first, with all it takes to make them again.
create function folds.dependent_views(p_table regclass)
returns table (depth int, name text, definition text, options text, grants text [], description text)
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
        max(a.depth), a.oid::regclass::text, pg_get_viewdef(a.oid),
        coalesce((select string_agg(o, ', ') from unnest(c.reloptions) as o), ''),
        (
            select array_agg(format('grant %s on %s to %I', x.privilege_type, a.oid::regclass, x.grantee::regrole))
            from aclexplode(c.relacl) as x where x.grantee <> c.relowner and x.grantee <> 0
        ),
        obj_description(a.oid, 'pg_class')
    from above as a
    inner join pg_class as c on c.oid = a.oid
    -- Somebody's temporary view goes with the table; nobody else may make it again.
    where c.relkind = 'v' and not pg_is_other_temp_schema(c.relnamespace) and c.relnamespace <> pg_my_temp_schema()
    group by a.oid, c.reloptions, c.relacl, c.relowner;
end;

create function folds.swap(p_name text) returns void
language plpgsql set search_path = pg_catalog, pg_temp set client_min_messages = warning
as $$
declare
    v_live regclass := to_regclass(format('marts.%I', p_name));
    v record;
begin
    if v_live is null then
        execute format('alter table marts.%I rename to %I', p_name || '__beside', p_name);
        return;
    end if;
    create temporary table dependents on commit drop as select * from folds.dependent_views(v_live);
    -- The log waits for this transaction: a reader that is in the way is not waited for, the deployment tries again.
    set local lock_timeout = '200ms';
    execute format('drop table marts.%I cascade', p_name);
    execute format('alter table marts.%I rename to %I', p_name || '__beside', p_name);
    for v in select * from dependents order by depth loop
        -- A view that names a column that is gone is left to the dbt run that is going on.
        begin
            execute format('create view %s as %s', v.name, v.definition);
            for i in 1 .. coalesce(cardinality(v.grants), 0) loop
                execute v.grants[i];
            end loop;
            if v.description is not null then
                execute format('comment on view %s is %L', v.name, v.description);
            end if;
        exception when undefined_column or undefined_table then
            raise warning 'the view % no longer fits % and waits for its model', v.name, p_name;
        end;
    end loop;
    drop table dependents;
end
$$;
comment on function folds.swap is 'Put the table built beside in the live one''s place, and its views back on top.';

create function folds.install(
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
    v_changed bigint;
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
        execute format('drop table %s', v_beside);
    else
        execute format('insert into %s (%s) select %s from (%s) as built', v_beside, v_columns, v_columns,
            folds.windowed(m.fold_sql, format('(seq <= %s)', v_to)));
        for i in 1 .. cardinality(p_after) loop
            execute replace(p_after[i], '/*target*/', v_beside);
        end loop;
        execute format('analyze %s', v_beside);
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
        v_changed := folds.rebuild(m.name);
        return format('FOLD in place, %s rows changed', v_changed);
    end if;
    return 'FOLD built';
end
$$;
comment on function folds.install is
'Make a model live: unchanged, nothing; same columns, rebuilt in place by difference; else built beside and swapped in. Readers see the old rows or the new.';

-- Postgres grants EXECUTE to everyone on creation; what follows says who may do what, and nobody else may.
revoke all on all functions in schema raw, app, ops, folds from public;
alter default privileges revoke execute on functions from public;

grant usage on schema raw to zmart_ingest, zmart_keeper, zmart_api, analyst;
grant usage on schema ops to zmart_ingest, zmart_keeper, zmart_api, analyst;
grant usage on schema app to zmart_api;
grant usage on schema marts to zmart_ingest, zmart_keeper, zmart_api, analyst;
grant usage on schema folds to zmart_ingest;

grant select, insert, update on all tables in schema raw to zmart_ingest;
grant delete on raw.wanted to zmart_ingest;
revoke insert, update on raw.identity from zmart_ingest;
grant update (genesis_hash, program_id) on raw.identity to zmart_ingest;
grant select on ops.models, ops.model_status, ops.settings, ops.alerts to zmart_ingest, zmart_api, analyst;
grant select, insert, update on ops.cursors to zmart_ingest;
grant execute on function folds.fold, raw.next_seq, raw.take_writer, raw.market_number, raw.wallet_number to zmart_ingest;
grant execute on function ops.raise_alert to zmart_ingest, zmart_keeper;

grant select on raw.feed, raw.identity, raw.events, raw.transactions, raw.markets_seen, raw.wallets_seen,
raw.coverage to zmart_keeper, zmart_api, analyst;
grant select on raw.dead_letters, raw.wanted to zmart_api, zmart_keeper;
grant select on all tables in schema app to zmart_api;
grant execute on function app.current_wallet, app.current_wallet_no, app.cast_ballot, app.post_comment,
app.redeem_nonce to zmart_api;

grant select on all tables in schema ops to zmart_keeper;
grant insert, update on ops.intents, ops.submissions, ops.snapshots, ops.leases, ops.cursors, ops.alerts to zmart_keeper;

alter default privileges in schema marts grant select on tables to zmart_ingest, zmart_keeper, zmart_api, analyst;
