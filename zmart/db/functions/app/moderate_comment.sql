create or replace function app.moderate_comment(p_comment_no bigint, p_action text, p_reason text) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_moderator_no int := app.require_moderator(p_reason);
    v_comment app.comments;
begin
    select * into v_comment from app.comments where comment_no = p_comment_no;
    if v_comment.comment_no is null then
        raise exception 'Discussion not found' using errcode = 'ZM404';
    elsif v_comment.erased_at is not null and p_action in ('hide', 'restore', 'erase') then
        raise exception 'the text of this post was erased' using errcode = 'ZM409';
    elsif p_action = 'hide' and v_comment.hidden_at is not null then
        raise exception 'this post is hidden already' using errcode = 'ZM409';
    elsif p_action = 'restore' and v_comment.hidden_at is null then
        raise exception 'this post is not hidden' using errcode = 'ZM409';
    end if;
    if p_action = 'hide' then
        update app.comments set hidden_at = clock_timestamp() where comment_no = p_comment_no;
    elsif p_action = 'restore' then
        update app.comments set hidden_at = null where comment_no = p_comment_no;
    elsif p_action = 'erase' then
        update app.comments
        set content = '', hidden_at = coalesce(hidden_at, clock_timestamp()), erased_at = clock_timestamp()
        where comment_no = p_comment_no;
        update app.comment_edits set content_before = '' where comment_no = p_comment_no;
        -- The answer to its creation is stored for repeats of that request.
        update app.idempotency_keys as i
        set status = null, content_type = null, body = null, claimed_until = clock_timestamp()
        where
            i.wallet_no = v_comment.wallet_no and i.is_written
            and strpos(convert_from(i.body, 'UTF8'), format('"id":"%s"', p_comment_no)) > 0;
    elsif p_action is distinct from 'dismiss' then
        raise exception 'an action on a post must be hide, restore, erase or dismiss' using errcode = 'ZM422';
    end if;
    delete from app.open_reports where comment_no = p_comment_no;
    return app.append_moderation(
        p_action, 'post', p_comment_no, v_comment.market_no, v_comment.wallet_no, v_moderator_no, p_reason
    );
end
$$;
comment on function app.moderate_comment is
'Hides, restores or erases a comment, or dismisses its reports, and returns the seq. ZM403: no moderator. ZM404: no such comment. ZM409: nothing to change. ZM422: another action, or no reason.';

grant execute on function app.moderate_comment to zmart_api;
