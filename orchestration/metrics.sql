-- name: intents
-- Open intents by action and state.
select action, state, count(*) from ops.intents where closed_at is null group by action, state;

-- name: submissions
-- Submissions that ended, by ending; those that may still land count as open. Fees of all, and of today (UTC) as the budget counts.
select
    coalesce(ending, 'open'),
    count(*),
    coalesce(sum(fee_lamports), 0)::bigint,
    coalesce(sum(fee_lamports) filter (
        where
            ending is distinct from 'expired'
            and stored_at >= date_trunc('day', clock_timestamp() at time zone 'UTC') at time zone 'UTC'
    ), 0)::bigint
from ops.submissions
group by 1;

-- name: rounds
-- The last round of each keeper, dry and real.
select
    keeper,
    is_dry,
    extract(epoch from clock_timestamp() - worked_at)::float,
    seconds,
    due,
    outcome in ('stopped', 'failed')
from ops.keeper_rounds;

-- name: alerts
-- Open alerts by kind and severity.
select kind, severity, count(*) from ops.alerts where resolved_at is null group by kind, severity;

-- name: runs
-- Runs that have not ended, by status.
select status, count(*) from dagster.runs where status in ('QUEUED', 'NOT_STARTED', 'STARTING', 'STARTED') group by status;

-- name: jobs
-- Seconds since the last success of each job.
select pipeline_name, extract(epoch from clock_timestamp())::float - max(end_time)
from dagster.runs
where status = 'SUCCESS' and end_time is not null
group by pipeline_name;

-- name: daemons
-- Seconds since the last heartbeat of each daemon.
select daemon_type, extract(epoch from clock_timestamp() - timestamp at time zone 'UTC')::float from dagster.daemon_heartbeats;
