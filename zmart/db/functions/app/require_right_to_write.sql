-- Called with raw.writer held, as a ban is: whatever is written after a ban is refused.
create or replace function app.require_right_to_write() returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    v_reason text;
begin
    select b.reason into v_reason from app.bans as b where b.wallet_no = app.current_wallet_no();
    if v_reason is not null then
        raise exception 'a moderator has banned this wallet from writing here. The reason given is: %', v_reason
            using errcode = 'ZM403';
    end if;
end
$$;
comment on function app.require_right_to_write is 'Raises ZM403 where the current wallet is banned.';
