-- Operations: which model stands where, what keepers intend and have sent, and what a person should look at.

create schema ops;
comment on schema ops is 'How the system itself is doing.';

create table ops.models (
    name text collate "C" primary key,
    kind text collate "C" not null check (kind in ('fold', 'ordered')),
    definition_hash text collate "C" not null,
    listens_to text [] not null,
    fold_sql text not null,
    merge_sql text not null,
    key_columns text [] not null,
    scope_columns text [] not null,
    columns text [] not null,
    fee_sensitive boolean not null,
    built_to bigint not null,
    built_at timestamptz not null default clock_timestamp(),
    stale_since timestamptz,
    applied_seq bigint,
    failed_event bigint,
    reason text,
    check ((stale_since is null) = (applied_seq is null))
);
comment on table ops.models is
'One row per folded model. A healthy one follows the log (applied_seq null); a stale one stopped at applied_seq, for reason, at failed_event.';

comment on column ops.models.listens_to is 'Event names and feed kinds that change it; a window without any skips it.';
comment on column ops.models.fold_sql is 'The model''s compiled select; the marker in it stands for the window of the log.';
comment on column ops.models.merge_sql is 'How a window''s partial result is merged into /*target*/.';
comment on column ops.models.scope_columns is 'Columns, in log and mart alike, that say which rows an event touches.';

create view ops.model_status as
select
    m.name,
    m.kind,
    m.stale_since is not null as is_stale,
    coalesce(m.applied_seq, h.seq) as applied_seq,
    h.seq - coalesce(m.applied_seq, h.seq) as behind,
    m.stale_since,
    m.failed_event,
    m.reason,
    m.built_at
from ops.models as m
cross join (select coalesce(max(seq), 0) as seq from raw.feed) as h;
comment on view ops.model_status is 'Each folded model and the seq it answers for.';

create table ops.intents (
    intent_no bigint generated always as identity primary key,
    market_no int not null references raw.markets_seen,
    action text collate "C" not null,
    arguments jsonb not null default '{}',
    plan jsonb not null,
    lease_epoch bigint not null,
    state text collate "C" not null default 'planned'
    check (state in ('planned', 'sent', 'landed', 'done', 'refused', 'quarantined', 'reopened')),
    attempts int not null default 0,
    created_at timestamptz not null default clock_timestamp(),
    closed_at timestamptz,
    outcome jsonb
);
-- Two open intents for one action of one market would be a double send.
create unique index intents_open on ops.intents (market_no, action)
where state in ('planned', 'sent', 'landed', 'reopened');
comment on table ops.intents is 'One row per action a keeper decided on; open until our own log shows its event, finalized.';

create table ops.submissions (
    signature text collate "C" primary key,
    intent_no bigint not null references ops.intents,
    transaction_bytes bytea not null,
    last_valid_block_height bigint not null,
    stored_at timestamptz not null default clock_timestamp(),
    sent_at timestamptz,
    ended_at timestamptz,
    ending text collate "C" check (ending in ('landed', 'failed', 'expired'))
);
comment on table ops.submissions is 'Signed bytes, stored before they are sent.';

create table ops.snapshots (
    market_no int not null references raw.markets_seen,
    day date not null,
    cid_v0 text collate "C" not null,
    cid_v1 text collate "C" not null,
    previous_cid text collate "C",
    comments_count int not null,
    published_at timestamptz,
    pinned_at timestamptz,
    primary key (market_no, day)
);
comment on table ops.snapshots is 'One row per market and UTC day whose discussion was anchored.';

create table ops.alerts (
    alert_no bigint generated always as identity primary key,
    kind text collate "C" not null,
    subject text collate "C" not null default '',
    severity text collate "C" not null check (severity in ('info', 'warning', 'critical')),
    message text not null,
    occurrences int not null default 1,
    raised_at timestamptz not null default clock_timestamp(),
    last_at timestamptz not null default clock_timestamp(),
    acknowledged_at timestamptz,
    resolved_at timestamptz
);
-- The same trouble is one alert that counts, not a flood.
create unique index alerts_open on ops.alerts (kind, subject) where resolved_at is null;
comment on table ops.alerts is 'What a person should look at, deduplicated by (kind, subject) while open.';

create function ops.raise_alert(p_kind text, p_subject text, p_severity text, p_message text) returns bigint
language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
    insert into ops.alerts as a (kind, subject, severity, message)
    values (p_kind, p_subject, p_severity, p_message)
    on conflict (kind, subject) where resolved_at is null
    do update set occurrences = a.occurrences + 1, last_at = clock_timestamp(), message = excluded.message
    returning alert_no;
end;
comment on function ops.raise_alert is 'Open an alert, or count one more occurrence of the open one.';

create table ops.cursors (
    name text collate "C" primary key,
    value jsonb not null,
    moved_at timestamptz not null default clock_timestamp()
);
comment on table ops.cursors is 'Where a walker or sensor stood.';

create table ops.leases (
    name text collate "C" primary key,
    holder text not null,
    epoch bigint not null default 1,
    expires_at timestamptz not null
);
comment on table ops.leases is 'Who may act alone, and the epoch stamped into what they do.';

create table ops.settings (
    name text collate "C" primary key,
    value bigint not null,
    meaning text not null
);
insert into ops.settings (name, value, meaning) values
('dispute_voting_window_seconds', 259200, 'how long ballots of a dispute are accepted after its initiation');
comment on table ops.settings is 'Settings that views need; written from the environment at deploy.';
