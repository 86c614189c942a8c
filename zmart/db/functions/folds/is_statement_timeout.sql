-- Postgres gives a timeout and a cancel one SQLSTATE. The words tell them apart where they are English; elsewhere the clock.
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
'Whether a 57014 with these words, of a statement that began then, was its own timeout rather than somebody''s cancel.';
