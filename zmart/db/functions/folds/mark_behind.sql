create or replace function folds.mark_behind(
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
            -- Three attempts with these pauses span ten minutes. In that time a deployment can end, or an operator can react.
            when not folds.is_environmental(p_sqlstate) then interval '5 minutes'
            -- An attempt blocks the log, so attempts take at most a tenth of the time.
            else make_interval(secs => greatest(2 ^ least(coalesce(attempts, 0), 5), 10 * p_seconds))
        end
    where name = p_model and stale_since is null
    returning * into m;
    if m.data_failures >= 3 then
        perform folds.mark_stale(p_model, p_applied_seq, p_failed_event, p_reason);
        perform ops.resolve_alert('mart_behind', p_model);
    elsif m.data_failures > 0 or m.behind_since < clock_timestamp() - interval '1 minute' then
        -- A short lock raises no alert: an operator could do nothing about it.
        perform ops.raise_alert('mart_behind', p_model, 'warning', format(
            'The mart %s is behind since seq %s: %s failed with "%s". Ingest continues, and the mart is retried. If it stays behind, run: zmart status',
            p_model, p_applied_seq, coalesce('event ' || p_failed_event, 'the next entry'), p_reason));
    end if;
end
$$;
comment on function folds.mark_behind is
'Takes a model out of the live path until an attempt succeeds. The third failure that does not come from the environment makes it stale.';
