create or replace function folds.rebuild(p_name text) returns bigint
language sql set search_path = pg_catalog, pg_temp
return folds.rebuild_from(p_name, null, null);
comment on function folds.rebuild is
'Folds a model again from the whole log and merges the differences into the live mart. Returns the number of rows that differed.';
