create or replace function folds.retry_behind() returns boolean
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
    -- The log waits from here on. A model that is being installed is skipped.
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
        if v_state = '57014' and not folds.is_statement_timeout(v_reason, statement_timestamp()) then
            raise;
        end if;
        perform folds.mark_behind(m.name, m.applied_seq, m.failed_event, v_state, v_reason,
            extract(epoch from clock_timestamp() - v_began)::float8);
        -- A model that becomes stale appends an entry to the feed.
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
'Tries to advance one model that is behind and due by a window of at most 10,000 entries. Returns false if none is due. Each call is a transaction of its own, so that the log waits for at most one window.';

grant execute on function folds.retry_behind to zmart_ingest;
