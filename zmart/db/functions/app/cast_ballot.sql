create or replace function app.cast_ballot(
    p_market text, p_kind text, p_vote boolean, p_message text, p_signature text,
    p_envelope bytea default null
) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_wallet text := app.require_wallet();
    v_wallet_no int;
    v_market_no int;
    v_state text;
    v_seq bigint;
begin
    perform raw.take_writer();
    if exists (select from ops.models where name = 'markets' and applied_seq is not null) then
        raise exception 'the mart of the markets is behind the log, so the state of this market is not known. Try again in some minutes'
            using errcode = 'ZM409';
    end if;
    v_market_no := raw.market_number(p_market);
    select state into v_state from marts.markets where market_no = v_market_no and is_known;
    if v_state is null then
        raise exception 'there is no market %', p_market using errcode = 'ZM404';
    end if;
    if v_state is distinct from (case p_kind when 'proposal' then 'PROPOSED' when 'dispute' then 'DISPUTED' end) then
        raise exception 'a % ballot cannot be cast while the market is %', p_kind, v_state using errcode = 'ZM409';
    end if;
    v_wallet_no := raw.wallet_number(v_wallet);
    v_seq := raw.next_seq();
    begin
        insert into app.ballots (seq, market_no, kind, wallet_no, vote, message, signature, envelope)
        values (v_seq, v_market_no, p_kind, v_wallet_no, p_vote, p_message, p_signature, p_envelope);
    exception when unique_violation then
        raise exception 'this wallet has already cast its % ballot on this market', p_kind using errcode = 'ZM409';
    end;
    perform raw.append_entries(
        array['ballot'], array[v_seq], array[v_market_no], array[v_wallet_no],
        array[sha256(convert_to(p_message || E'\n' || p_signature, 'UTF8'))]
    );
    perform folds.fold(v_seq - 1, v_seq);
    notify zmart_feed;
    return v_seq;
end
$$;
comment on function app.cast_ballot is
'Casts the ballot of the signed-in wallet, once per market and kind, and returns its seq. ZM404: unknown market. ZM409: wrong state or second ballot.';

grant execute on function app.cast_ballot to zmart_api;
