-- Edits, reactions and reports call this first. It takes the writer's lock.
create or replace function app.lock_comment(p_comment_no bigint) returns app.comments
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    v_comment app.comments;
begin
    perform raw.take_writer();
    select c.* into v_comment from app.comments as c
    where
        c.comment_no = p_comment_no and c.deleted_at is null and app.is_comment_shown(c.hidden_at, c.root_no);
    if v_comment.comment_no is null then
        raise exception 'Discussion not found' using errcode = 'ZM404';
    end if;
    return v_comment;
end
$$;
comment on function app.lock_comment is 'Takes raw.writer and returns a comment. ZM404: no such comment, deleted, or hidden, alone or with its thread.';
