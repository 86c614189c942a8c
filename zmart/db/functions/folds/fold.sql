-- The log always commits. A model that raises is found, marked and skipped, and the others merge their window.
create or replace function folds.fold(p_from bigint, p_to bigint) returns void
language plpgsql security definer
-- The timeout is that of the fold: a lock on a mart stops that mart and not the log.
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
                not folds.is_statement_timeout(v_reason, statement_timestamp())
                -- Time that passed before, for example while waiting for a lock or a disk, does not show a slow model.
                or clock_timestamp() - v_began < 0.5 * current_setting('statement_timeout')::interval
            then
                raise;
            end if;
            -- The timer of a statement fires once: the model in which it fired is not tried again, and the others get their turn.
            v_model := (regexp_match(v_context, 'folds\.(?:apply|refold)_(\w+)\('))[1];
            select array_agg(name) into v_failed
            from ops.models
            where
                applied_seq is null
                -- If the timer fired in a shared step, all models that share it are marked.
                and (name = v_model or v_model is null and strpos(v_context, 'folds.' || staged_as || '(') > 0);
            if v_failed is null then
                -- The timer fired in the preparation for all models. Rejecting the append would reject it at each delivery.
                -- Models that are behind merge the same entries in smaller windows.
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
        -- If all fail at once for lack of a resource, the server is the cause, and the append is repeated.
        raise exception '%', v_reasons[1] using errcode = v_states[1];
    end if;
    for i in 1 .. cardinality(v_failed) loop
        perform folds.mark_behind(v_failed[i], p_from, case
            -- For time or memory there is no single failing event: a smaller window might have succeeded.
            when not folds.is_environmental(v_states[i]) then folds.first_failing(v_failed[i], p_from, p_to)
        end, v_states[i], v_reasons[i], v_seconds[i]);
    end loop;
end
$$;
comment on function folds.fold is
'Merges the window (from, to] of the feed into every mart that follows the log, in the caller''s transaction. A model that fails, or uses up the time of the statement, is behind from then on, and the append continues. Raises an error of the environment with which all models fail, and the caller''s cancel.';

grant execute on function folds.fold to zmart_ingest;
