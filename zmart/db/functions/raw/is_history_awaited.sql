-- Long enough for processes that lost their connections to come back (their pauses are at most five seconds), short enough that
-- nobody needs to act.
create or replace function raw.is_history_awaited() returns boolean
language sql volatile security definer set search_path = pg_catalog, pg_temp
begin atomic
    select coalesce(max(i.suspected_at) > clock_timestamp() - interval '15 seconds', true) from raw.identity as i;
end;
comment on function raw.is_history_awaited is
'On a promoted server: whether a process that holds a position may still prove that nothing is lost, within fifteen seconds after the first connection.';
