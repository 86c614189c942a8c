create or replace function folds.average_cost_step(
    p_state numeric [], p_before numeric [], p_is_buy boolean, p_is_yes boolean, p_shares numeric, p_lamports numeric
) returns numeric []
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp
as $$
declare
    -- For YES, then for NO: shares, lamports paid for them, lamports realized by sells.
    v_state numeric [] := coalesce(p_state, p_before, array[0, 0, 0, 0, 0, 0]);
    i int := case when p_is_yes then 1 else 4 end;
    v_removed numeric := 0;
begin
    if p_is_buy then
        v_state[i] := v_state[i] + p_shares;
        v_state[i + 1] := v_state[i + 1] + p_lamports;
        return v_state;
    end if;
    if v_state[i] > 0 then
        v_removed := div(v_state[i + 1] * least(p_shares, v_state[i]), v_state[i]);
    end if;
    v_state[i] := v_state[i] - p_shares;
    v_state[i + 1] := v_state[i + 1] - v_removed;
    v_state[i + 2] := v_state[i + 2] + p_lamports - v_removed;
    return v_state;
end
$$;
comment on function folds.average_cost_step is
'Applies one trade to a user position: a buy adds shares and their cost, a sell removes shares at their average cost (floor) and realizes the rest.';
