-- Postgres uses one SQLSTATE for a timeout and a cancel. An English message shows which it was; otherwise the clock does.
create or replace function folds.is_statement_timeout(p_words text, p_began timestamptz) returns boolean
language sql stable
return
case
    when p_words like '%statement timeout%' then true
    when p_words like '%user request%' then false
    else current_setting('statement_timeout')::interval > interval '0'
        and clock_timestamp() - p_began > 0.95 * current_setting('statement_timeout')::interval
end;
comment on function folds.is_statement_timeout is
'Returns whether a 57014 with this message, of a statement that began at this time, is the statement''s timeout and not a cancel.';
