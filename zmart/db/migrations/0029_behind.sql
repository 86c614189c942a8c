-- A model whose fold fails is behind at first: it is skipped, retried with growing pauses, and catches up by itself. It is stale,
-- which waits for an operator, only after three attempts over ten minutes that failed for another reason than the environment.
-- Before, a lock of two seconds on a mart made it stale for ever.

alter table ops.models drop constraint models_check;
alter table ops.models add constraint models_check check (stale_since is null or applied_seq is not null);
alter table ops.models add column behind_since timestamptz;
alter table ops.models add column attempts int;
alter table ops.models add column data_failures int;
alter table ops.models add column next_attempt_at timestamptz;
comment on table ops.models is
'One row per folded model. One that follows the log has no applied_seq. One that is behind stopped at applied_seq, for reason, and is retried. A stale one (stale_since) waits for a rebuild.';
comment on column ops.models.behind_since is 'When it stopped following the log; null while it follows.';
comment on column ops.models.attempts is 'Attempts that failed, less those that made progress: the pause grows with it, and the window of an attempt shrinks.';
comment on column ops.models.data_failures is 'Attempts that failed for another reason than the environment; the third makes the model stale.';
comment on column ops.models.next_attempt_at is 'When it is tried again.';

create or replace view ops.model_status as
select
    m.name,
    m.kind,
    m.stale_since is not null as is_stale,
    coalesce(m.applied_seq, h.seq) as applied_seq,
    h.seq - coalesce(m.applied_seq, h.seq) as behind,
    m.stale_since,
    m.failed_event,
    m.reason,
    m.built_at,
    m.applied_seq is not null and m.stale_since is null as is_behind,
    m.behind_since,
    case when m.stale_since is null then m.next_attempt_at end as next_attempt_at
from ops.models as m
cross join (select coalesce(max(seq), 0) as seq from raw.feed) as h;

create or replace function folds.is_environmental(p_sqlstate text) returns boolean
language sql immutable parallel safe
return left(p_sqlstate, 2) in ('08', '40', '53', '55', '57', '58');
comment on function folds.is_environmental is
'Whether an error comes from the environment (connection, deadlock, resources, lock, cancel or timeout, system), so that trying again can help.';

-- Every function that skips a model which does not follow the log asked for stale ones; now it asks for both kinds.
do $$
declare
    v_function regproc;
    v_text text;
begin
    foreach v_function in array array['folds.retold', 'folds.create_dispatcher', 'app.cast_ballot']::regproc [] loop
        v_text := pg_get_functiondef(v_function);
        if strpos(v_text, 'stale_since is not null') = 0 then
            raise exception '% does not look for stale models', v_function;
        end if;
        execute replace(v_text, 'stale_since is not null', 'applied_seq is not null');
    end loop;
    if exists (select from ops.models) then
        perform folds.create_dispatcher();
    end if;
end
$$;

create function folds.mark_behind(
    p_model text, p_applied_seq bigint, p_failed_event bigint, p_sqlstate text, p_reason text, p_seconds double precision
) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    m ops.models;
begin
    update ops.models
    set
        applied_seq = p_applied_seq,
        behind_since = coalesce(behind_since, clock_timestamp()),
        failed_event = p_failed_event,
        reason = p_reason,
        attempts = coalesce(attempts, 0) + 1,
        data_failures = coalesce(data_failures, 0) + case when folds.is_environmental(p_sqlstate) then 0 else 1 end,
        next_attempt_at = clock_timestamp() + case
            -- Three attempts with these pauses span ten minutes: time for a deployment to end, or for an operator to read.
            when not folds.is_environmental(p_sqlstate) then interval '5 minutes'
            -- An attempt holds the log, so attempts take a tenth of the time at most.
            else make_interval(secs => greatest(2 ^ least(coalesce(attempts, 0), 5), 10 * p_seconds))
        end
    where name = p_model and stale_since is null
    returning * into m;
    if m.data_failures >= 3 then
        perform folds.mark_stale(p_model, p_applied_seq, p_failed_event, p_reason);
        perform ops.resolve_alert('mart_behind', p_model);
    elsif m.data_failures > 0 or m.behind_since < clock_timestamp() - interval '1 minute' then
        -- A lock that is gone a moment later is nothing to look at.
        perform ops.raise_alert('mart_behind', p_model, 'warning', format(
            'The mart %s is behind since seq %s: %s failed with "%s". Ingest goes on, and the mart is retried. If this lasts, see: zmart status',
            p_model, p_applied_seq, coalesce('event ' || p_failed_event, 'what came next'), p_reason));
    end if;
end
$$;
comment on function folds.mark_behind is
'Take a model out of the live path until an attempt succeeds; the third failure that is not the environment''s makes it stale.';

create or replace function folds.fold(p_from bigint, p_to bigint) returns void
language plpgsql security definer
-- The fold's own bound: a lock on a mart stops that mart, not the log.
set search_path = pg_catalog, pg_temp set lock_timeout = '2s'
as $$
declare
    v_began timestamptz := clock_timestamp();
    v_trying timestamptz;
    v_model text;
    v_state text;
    v_reason text;
    v_context text;
    v_tried int := 0;
    v_failed text [] := '{}';
    v_states text [] := '{}';
    v_reasons text [] := '{}';
    v_seconds double precision [] := '{}';
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
        if v_state = '57014' then
            if
                not folds.is_out_of_time(v_reason, statement_timestamp())
                -- Time that was spent elsewhere, waiting for a lock or a disk, says nothing about a model.
                or clock_timestamp() - v_began < 0.5 * current_setting('statement_timeout')::interval
            then
                raise;
            end if;
            -- The timer of a statement rings once: the model it rang in is not tried again, and the others are not late.
            v_model := (regexp_match(v_context, 'folds\.(?:apply|refold)_(\w+)\('))[1];
            select array_agg(name) into v_failed
            from ops.models
            where
                applied_seq is null
                -- In a step that is shared, all who share it are late.
                and (name = v_model or v_model is null and strpos(v_context, 'folds.' || staged_as || '(') > 0);
            if v_failed is null then
                -- It rang in what is prepared for all of them. Refusing the append would refuse it each time it is delivered;
                -- models that are behind take the same entries in smaller windows.
                select coalesce(array_agg(name), '{}') into v_failed from ops.models where applied_seq is null;
            end if;
            v_states := array_fill(v_state, array[cardinality(v_failed)]);
            v_reasons := array_fill(v_reason, array[cardinality(v_failed)]);
            v_seconds := array_fill(extract(epoch from clock_timestamp() - v_began)::float8, array[cardinality(v_failed)]);
        end if;
    end;
    for v_model in select name from ops.models where applied_seq is null and name <> all(v_failed) order by name loop
        v_tried := v_tried + 1;
        v_trying := clock_timestamp();
        begin
            execute format('select folds.%I($1, $2)', 'apply_' || v_model) using p_from, p_to;
        exception when others then
            get stacked diagnostics v_state = returned_sqlstate, v_reason = message_text;
            v_failed := v_failed || v_model;
            v_states := v_states || v_state;
            v_reasons := v_reasons || v_reason;
            v_seconds := v_seconds || extract(epoch from clock_timestamp() - v_trying)::float8;
        end;
    end loop;
    if cardinality(v_failed) = v_tried and v_tried > 1 and folds.is_environmental(v_states[1]) then
        -- All of them at once, for want of something: that is the server, and the append is repeated.
        raise exception '%', v_reasons[1] using errcode = v_states[1];
    end if;
    for i in 1 .. cardinality(v_failed) loop
        perform folds.mark_behind(v_failed[i], p_from, case
            -- Whether a part of the window would have fitted in the time or memory says nothing of an event.
            when not folds.is_environmental(v_states[i]) then folds.first_failing(v_failed[i], p_from, p_to)
        end, v_states[i], v_reasons[i], v_seconds[i]);
    end loop;
end
$$;
comment on function folds.fold is
'Merge the window (from, to] of the feed into every mart that follows, in the caller''s transaction. A model that fails, or takes all of the statement''s time, is behind from then on; the append goes on. Raises what all models fail with alike, and the caller''s cancel.';

create function folds.retry_behind() returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp set lock_timeout = '5s'
as $$
declare
    m ops.models;
    v_began timestamptz;
    v_to bigint;
    v_head bigint;
    v_state text;
    v_reason text;
begin
    if not exists (
        select from ops.models where applied_seq is not null and stale_since is null and next_attempt_at <= clock_timestamp()
    ) then
        return false;
    end if;
    perform raw.take_writer();
    -- The log waits from here on. A model that is being installed is left to its installation.
    select * into m
    from ops.models
    where applied_seq is not null and stale_since is null and next_attempt_at <= clock_timestamp()
    order by next_attempt_at, name
    limit 1
    for update skip locked;
    if not found then
        return false;
    end if;
    perform set_config('lock_timeout', '100ms', true);
    v_began := clock_timestamp();
    select coalesce(max(seq), 0) into v_head from raw.feed;
    v_to := least(v_head, m.applied_seq + greatest(1, 10000 >> least(m.attempts, 20)));
    begin
        perform folds.catch_up(format('marts.%I', m.name), m, m.applied_seq, v_to);
    exception when query_canceled or others then
        get stacked diagnostics v_state = returned_sqlstate, v_reason = message_text;
        if v_state = '57014' and not folds.is_out_of_time(v_reason, statement_timestamp()) then
            raise;
        end if;
        perform folds.mark_behind(m.name, m.applied_seq, m.failed_event, v_state, v_reason,
            extract(epoch from clock_timestamp() - v_began)::float8);
        -- Being stale is an entry of the feed.
        notify zmart_feed;
        return true;
    end;
    if v_to < v_head then
        update ops.models
        set applied_seq = v_to, attempts = greatest(m.attempts - 1, 0), next_attempt_at = clock_timestamp()
        where name = m.name;
        return true;
    end if;
    update ops.models
    set
        applied_seq = null, behind_since = null, failed_event = null, reason = null,
        attempts = null, data_failures = null, next_attempt_at = null
    where name = m.name;
    perform ops.resolve_alert('mart_behind', m.name);
    return true;
end
$$;
comment on function folds.retry_behind is
'One attempt to bring one model that is behind, and due, nearer to the log, in a window of at most 10,000 entries; false where none is due. Each call is a transaction of its own, so that the log waits for one window at most.';

create or replace function folds.rebuild(p_name text) returns bigint
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
    set
        built_to = v_head, built_at = clock_timestamp(), stale_since = null, applied_seq = null, failed_event = null, reason = null,
        behind_since = null, attempts = null, data_failures = null, next_attempt_at = null
    where name = p_name;
    update ops.alerts set resolved_at = clock_timestamp()
    where kind in ('mart_stale', 'mart_behind') and subject = p_name and resolved_at is null;
    drop table pg_temp.rebuilt;
    return v_changed;
end
$$;

revoke execute on function folds.mark_behind, folds.retry_behind from public;
grant execute on function folds.retry_behind to zmart_ingest;
