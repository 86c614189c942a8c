-- The last round of each keeper: keepers that do not run are found by somebody else.
create table ops.keeper_rounds (
    keeper text collate "C" not null,
    is_dry boolean not null,
    ran_at timestamptz not null default clock_timestamp(),
    worked_at timestamptz,
    outcome text not null check (outcome in ('worked', 'skipped', 'stopped', 'failed')),
    due int not null,
    sent int not null,
    message text not null,
    seconds double precision not null,
    primary key (keeper, is_dry)
);
comment on table ops.keeper_rounds is
'The last round of each keeper, signing ones and dry ones apart; ingest raises keepers_idle from it.';
comment on column ops.keeper_rounds.worked_at is
'When a round last came to its end; null before the first. A skipped, stopped or failed one does not move it.';
comment on column ops.keeper_rounds.due is
'Actions of its plan that were due.';
grant select, insert, update on ops.keeper_rounds to zmart_keeper;
grant select on ops.keeper_rounds to zmart_ingest, zmart_api, analyst;
