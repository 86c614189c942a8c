-- A model's compiled select contains the window marker where it reads log rows. The marker itself means all history.
create or replace function folds.with_window(p_sql text, p_window text) returns text
language sql immutable parallel safe
return replace(p_sql, '(true /*fold*/)', p_window);
comment on function folds.with_window is
'Returns the text of a model with a condition in place of its window marker.';
