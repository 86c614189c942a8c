create or replace aggregate folds.average_cost( -- noqa: PRS
    p_before numeric [], p_is_buy boolean, p_is_yes boolean, p_shares numeric, p_lamports numeric
) (
    sfunc = folds.average_cost_step,
    stype = numeric []
);
comment on aggregate folds.average_cost(numeric [], boolean, boolean, numeric, numeric) is
'Aggregates the trades of one user position in order, continuing from p_before (null for none): {shares, cost, realized} of YES, then of NO.';
