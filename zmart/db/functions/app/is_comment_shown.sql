create or replace function app.is_comment_shown(p_hidden_at timestamptz, p_root_no bigint) returns boolean
language sql stable
begin atomic
    select p_hidden_at is null and not exists (
        select from app.comments as t where t.comment_no = p_root_no and t.hidden_at is not null
    );
end;
comment on function app.is_comment_shown is
'Returns whether a comment is shown: neither it nor the first comment of its thread is hidden by a moderator.';
