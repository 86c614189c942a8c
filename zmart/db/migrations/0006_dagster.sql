-- Dagster keeps runs, schedules and events in tables of its own, which it makes and migrates itself. Its processes log in
-- as the keeper: they may write here and what keepers may write, and nothing else.

create schema dagster;
grant usage, create on schema dagster to zmart_keeper;
comment on schema dagster is 'Dagster''s own storage; its tables belong to Dagster.';
