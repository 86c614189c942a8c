-- What the hourly comparison with the program's accounts could not compare is remembered from run to run: one run that misses a market
-- is nothing, a day of such runs is for a person.

create table ops.uncompared (
    account text collate "C" primary key check (account <> ''),
    since timestamptz not null default clock_timestamp(),
    reason text not null
);
comment on table ops.uncompared is 'Markets that the newest check of the program''s accounts did not compare; kept by the check accounts_equal_folds.';
comment on column ops.uncompared.account is 'Address of the market''s account, or config for the configuration.';
comment on column ops.uncompared.since is 'When the first of the checks ran that missed it one after the other.';
comment on column ops.uncompared.reason is 'Why the newest did.';
grant select, insert, update, delete on ops.uncompared to zmart_keeper;
