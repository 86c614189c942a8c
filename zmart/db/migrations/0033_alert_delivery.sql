-- An alert that the chat refuses is counted in its own row, so that it neither keeps back the others nor is lost.

alter table ops.alerts add column refusals integer not null default 0;
alter table ops.alerts add column refused_at timestamptz;
alter table ops.alerts add column refusal text;
comment on column ops.alerts.refusals is 'How often in a row ALERT_WEBHOOK_URL did not accept it; 0 once it does.';
comment on column ops.alerts.refused_at is 'When that happened last.';
comment on column ops.alerts.refusal is 'The last answer, or the error where there was none.';
