create or replace function app.flag_comment(p_comment_no bigint, p_reason text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_wallet text := app.require_wallet();
    v_wallet_no int;
    v_comment app.comments;
    v_now timestamptz;
begin
    if p_reason is null or length(btrim(p_reason)) = 0 or length(p_reason) > 500 then
        raise exception 'a reason must have 1 to 500 characters' using errcode = 'ZM422';
    end if;
    v_comment := app.lock_comment(p_comment_no);
    perform app.require_right_to_write();
    v_wallet_no := raw.wallet_number(v_wallet);
    v_now := clock_timestamp();
    insert into app.flags (comment_no, wallet_no, reason, flagged_at) values (p_comment_no, v_wallet_no, p_reason, v_now);
    insert into app.open_reports as r (comment_no, flags, since) values (p_comment_no, 1, v_now)
    on conflict (comment_no) do update set flags = r.flags + 1;
exception when unique_violation then
    raise exception 'this wallet has already reported this comment' using errcode = 'ZM409';
end
$$;
comment on function app.flag_comment is 'Reports a comment, once per wallet. ZM404: no such comment, or deleted. ZM409: already reported. ZM422: invalid reason.';

grant execute on function app.flag_comment to zmart_api;
