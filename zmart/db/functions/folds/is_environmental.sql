create or replace function folds.is_environmental(p_sqlstate text) returns boolean
language sql immutable parallel safe
return left(p_sqlstate, 2) in ('08', '40', '53', '55', '57', '58');
comment on function folds.is_environmental is
'Returns whether an error comes from the environment (connection, deadlock, resources, lock, cancel or timeout, system), so that a retry can succeed.';
