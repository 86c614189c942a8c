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
    elsif p_action = 'clear' then
        update app.wallets set display_name = null, bio = null, updated_at = clock_timestamp()
        where wallet_no = v_wallet_no and (display_name is not null or bio is not null);
    else
        raise exception 'an action on a wallet must be ban, unban or clear' using errcode = 'ZM422';
    end if;
    get diagnostics v_changed = row_count;
    if v_changed = 0 then
        raise exception '%', case p_action
            when 'ban' then 'this wallet is banned already'
            when 'unban' then 'this wallet is not banned'
            else 'this wallet has no profile'
        end using errcode = 'ZM409';
    end if;
    return app.append_moderation(
        p_action, case p_action when 'clear' then 'profile' else 'wallet' end,
        null, null, v_wallet_no, v_moderator_no, p_reason
    );
end
$$;
comment on function app.moderate_wallet is
'Bans a wallet from writing through the API, lifts its ban, or clears its profile, and returns the seq. ZM403: no moderator. ZM409: nothing to change. ZM422: another action, or no reason.';

grant execute on function app.moderate_wallet to zmart_api;
