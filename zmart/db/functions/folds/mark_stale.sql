create or replace function folds.mark_stale(p_model text, p_applied_seq bigint, p_failed_event bigint, p_reason text) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    update ops.models
    set stale_since = clock_timestamp(), applied_seq = p_applied_seq, failed_event = p_failed_event, reason = p_reason
    where name = p_model and stale_since is null;
    perform raw.append_entries(array['mart_stale'], array[null::bigint], array[null::int], array[null::int], array[null::bytea]);
    perform ops.raise_alert('mart_stale', p_model, 'critical', format(
        'The mart %s stopped at seq %s: %s failed with "%s". Ingest goes on. Mend the model, then run: zmart rebuild %s',
        p_model, p_applied_seq, coalesce('event ' || p_failed_event, 'what came next'), p_reason, p_model));
end
$$;
comment on function folds.mark_stale is 'Take a model out of the live path until a rebuild mends it, and tell everyone.';
