-- Casts a ballot whose signed text names market, choice and nonce. The nonce is null for older texts, which name none.
create or replace function app.cast_signed_ballot(
    p_market text, p_kind text, p_vote boolean, p_message text, p_signature text,
    p_nonce text, p_nonce_expires_at timestamptz, p_eligibility text,
    p_envelope bytea default null
) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_wallet text := app.require_wallet();
    v_wallet_no int;
    v_market_no int;
begin
    -- The lock comes first, so that a vote of this wallet on chain is either folded already or comes after the ballot.
    perform raw.take_writer();
    v_market_no := raw.market_number(p_market);
    select wallet_no into v_wallet_no from raw.wallets_seen where wallet = v_wallet;
    if p_eligibility = 'known' and not exists (
        select from raw.events where wallet_no = v_wallet_no and retracted_at is null
    ) then
        raise exception 'only wallets with an event on chain can vote here, and this one has none. Trade or vote on chain first'
            using errcode = 'ZM403';
    end if;
    if exists (
        select from marts.ballots where market_no = v_market_no and kind = p_kind and wallet_no = v_wallet_no
    ) then
        raise exception 'this wallet has already cast its % ballot on this market', p_kind using errcode = 'ZM409';
    end if;
    if p_kind = 'dispute' and exists (
        select from marts.markets as m, ops.settings as s
        where m.market_no = v_market_no and s.name = 'dispute_voting_window_seconds'
            and clock_timestamp() >= m.dispute_initiated_at + make_interval(secs => s.value)
    ) then
        raise exception 'voting on this dispute is over' using errcode = 'ZM409';
    end if;
    if p_nonce is not null then
        perform app.redeem_nonce(p_nonce, p_nonce_expires_at);
    end if;
    return app.cast_ballot(p_market, p_kind, p_vote, p_message, p_signature, p_envelope);
end
$$;
comment on function app.cast_signed_ballot is
'Calls app.cast_ballot for an eligible wallet that has not voted on chain, once per nonce. ZM403: not eligible. ZM404, ZM409: as there.';

grant execute on function app.cast_signed_ballot to zmart_api;
