create or replace function app.moderate_wallet(p_wallet text, p_action text, p_reason text) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_moderator_no int := app.require_moderator(p_reason);
    v_wallet_no int := raw.wallet_number(p_wallet);
    v_changed bigint;
begin
    if p_action = 'ban' then
        insert into app.bans (wallet_no, moderator_no, reason) values (v_wallet_no, v_moderator_no, p_reason)
        on conflict (wallet_no) do nothing;
    elsif p_action = 'unban' then
        delete from app.bans where wallet_no = v_wallet_no;
    else
        raise exception 'an action on a wallet must be ban or unban' using errcode = 'ZM422';
    end if;
    get diagnostics v_changed = row_count;
    if v_changed = 0 then
        raise exception 'this wallet is % banned', case p_action when 'ban' then 'already' else 'not' end
            using errcode = 'ZM409';
    end if;
    return app.append_moderation(p_action, 'wallet', null, null, v_wallet_no, v_moderator_no, p_reason);
end
$$;
comment on function app.moderate_wallet is
'Bans a wallet from writing through the API, or lifts its ban, and returns the seq. ZM403: no moderator. ZM409: nothing to change. ZM422: another action, or no reason.';

grant execute on function app.moderate_wallet to zmart_api;
