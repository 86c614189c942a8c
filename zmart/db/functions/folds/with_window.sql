-- The window marker. A model's compiled select holds it where its log rows are read; as it stands it means all history.
create or replace function folds.with_window(p_sql text, p_window text) returns text
language sql immutable parallel safe
return replace(p_sql, '(true /*fold*/)', p_window);
comment on function folds.with_window is
'The text of a model with a condition in place of its window marker; with the marker itself it reads all history.';
