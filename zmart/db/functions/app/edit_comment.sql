create or replace function app.edit_comment(p_comment_no bigint, p_content text) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_wallet text := app.require_wallet();
    v_comment app.comments;
begin
    perform app.require_content(p_content);
    v_comment := app.lock_comment(p_comment_no);
    perform app.require_right_to_write();
    if v_comment.wallet_no is distinct from app.current_wallet_no() then
        raise exception 'You can only edit your own discussions' using errcode = 'ZM403';
    end if;
    if v_comment.content = p_content then
        return v_comment.seq;
    end if;
    insert into app.comment_edits (comment_no, content_before) values (p_comment_no, v_comment.content);
    update app.comments set content = p_content, edited_at = clock_timestamp() where comment_no = p_comment_no;
    return app.append_comment_entry('comment', v_comment, v_comment.wallet_no, p_content);
end
$$;
comment on function app.edit_comment is
'Changes a comment of the current wallet, stores its earlier text, and returns the seq. ZM403: comment of another wallet. ZM404: no such comment, or deleted. ZM422: invalid text.';

grant execute on function app.edit_comment to zmart_api;
