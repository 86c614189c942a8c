-- Folds that do not commute: what a trade realizes depends on the trades before it. An ordered model keeps a state per key and
-- goes on from it; a key for which something comes late, or is taken back, is told again from its whole history.

create function folds.average_cost_step(
    p_state numeric [], p_before numeric [], p_is_buy boolean, p_is_yes boolean, p_shares numeric, p_lamports numeric
) returns numeric []
language plpgsql immutable parallel safe set search_path = pg_catalog, pg_temp
as $$
declare
    -- Per side, YES then NO: shares, lamports paid for them, lamports realized by sells.
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
'One trade on top of a position: a buy adds to shares and their cost, a sell takes out shares at their average cost (floor) and realizes the rest.';

create aggregate folds.average_cost( -- noqa: PRS
    p_before numeric [], p_is_buy boolean, p_is_yes boolean, p_shares numeric, p_lamports numeric
) (
    sfunc = folds.average_cost_step,
    stype = numeric []
);
comment on aggregate folds.average_cost(numeric [], boolean, boolean, numeric, numeric) is
'Trades of one position in order, continued from p_before (null for none): {shares, cost, realized} of YES, then of NO.';

create or replace function folds.catch_up(p_target text, p_model ops.models, p_from bigint, p_to bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    v_touched bigint [] := folds.touched(p_from, p_to, p_model.fee_sensitive, p_all => true);
    v_scope text := (select string_agg(quote_ident(c), ', ') from unnest(p_model.scope_columns) as c);
    v_columns text := (select string_agg(quote_ident(c), ', ') from unnest(p_model.columns) as c);
    v_upto bigint := p_from;
    v_in text;
begin
    if p_model.kind = 'ordered' then
        -- Its live path continues from the live table; beside it, the keys of the window are told again.
        select v_touched || array_agg(seq) into v_touched from raw.events where seq > p_from and seq <= p_to;
        v_upto := p_to;
    end if;
    if v_touched is not null then
        v_in := format('(%s) in (select %s from raw.events where seq = any(%L::bigint []))', v_scope, v_scope, v_touched);
        execute format('delete from %s where %s', p_target, v_in);
        execute format('insert into %s (%s) select %s from (%s) as refolded', p_target, v_columns, v_columns,
            folds.windowed(p_model.fold_sql, format('(%s and seq <= %s)', v_in, v_upto)));
    end if;
    if p_model.kind = 'fold' then
        execute replace(
            folds.windowed(p_model.merge_sql, format('(seq > %s and seq <= %s)', p_from, p_to)), '/*target*/', p_target
        );
    end if;
end
$$;

revoke all on function folds.average_cost_step from public;
