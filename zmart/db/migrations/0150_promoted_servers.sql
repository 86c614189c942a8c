-- A promoted server waits some seconds for a process that holds a position (raw.confirm_identity).
alter table raw.identity add column suspected_at timestamptz;
comment on column raw.identity.suspected_at is
'When a process first found this server promoted, and did not know whether the log is complete. Null when that is decided.';
