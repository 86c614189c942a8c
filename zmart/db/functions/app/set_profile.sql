create or replace function app.set_profile(p_display_name text, p_bio text) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_wallet text := app.require_wallet();
    v_wallet_no int;
    v_seq bigint;
begin
    perform raw.take_writer();
    v_wallet_no := raw.wallet_number(v_wallet);
    perform app.require_right_to_write();
    insert into app.wallets (wallet_no, display_name, bio) values (v_wallet_no, p_display_name, p_bio)
    on conflict (wallet_no) do update set
        display_name = excluded.display_name, bio = excluded.bio, updated_at = clock_timestamp();
    v_seq := raw.next_seq();
    perform raw.append_entries(
        array['profile'], array[v_seq], array[null::int], array[v_wallet_no],
        array[sha256(convert_to(jsonb_build_array(p_display_name, p_bio)::text, 'UTF8'))]
    );
    perform folds.fold(v_seq - 1, v_seq);
    notify zmart_feed;
    return v_seq;
end
$$;
comment on function app.set_profile is
'Replaces the profile of the current wallet and returns the seq. ZM403: no wallet is signed in, or it is banned.';

grant execute on function app.set_profile to zmart_api;
