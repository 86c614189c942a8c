-- What operators decided: who, when, what and why.
create table ops.audit (
    audit_no bigint generated always as identity primary key,
    at timestamptz not null default clock_timestamp(),
    who text not null check (who <> ''),
    login text not null default session_user,
    action text not null check (action <> ''),
    subject text not null,
    reason text not null check (reason ~ '\S'),
    details jsonb not null default '{}'
);
comment on table ops.audit is
'Decisions of operators. Rows are written by ops.record_audit before the decision takes effect, and never changed.';
comment on column ops.audit.who is
'The account of the operating system that ran the command.';
comment on column ops.audit.login is
'The login of the database.';
comment on column ops.audit.details is
'The plan as the operator saw it: for an approved action its keeper, arguments, reason and ballots.';
grant select on ops.audit to zmart_ingest, zmart_keeper, zmart_api, analyst;
