create or replace function app.delete_comment(p_comment_no bigint) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_wallet text := app.require_wallet();
    v_comment app.comments;
begin
    perform raw.take_writer();
    -- Hidden posts can be deleted, but only their authors learn that they exist.
    select c.* into v_comment from app.comments as c
    where
        c.comment_no = p_comment_no and c.deleted_at is null
        and (c.wallet_no = app.current_wallet_no() or app.is_comment_shown(c.hidden_at, c.root_no));
    if v_comment.comment_no is null then
        raise exception 'Discussion not found' using errcode = 'ZM404';
    end if;
    if v_comment.wallet_no is distinct from app.current_wallet_no() then
        raise exception 'You can only delete your own discussions' using errcode = 'ZM403';
    end if;
    update app.comments set deleted_at = clock_timestamp() where comment_no = p_comment_no;
    return app.append_comment_entry('comment', v_comment, v_comment.wallet_no);
end
$$;
comment on function app.delete_comment is
'Hides a comment of the current wallet and returns the seq. Replies remain. ZM403: comment of another wallet. ZM404: no such comment, or already deleted.';

grant execute on function app.delete_comment to zmart_api;
