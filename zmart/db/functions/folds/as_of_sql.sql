create or replace function folds.as_of_sql(p_sql text) returns text
language sql immutable parallel safe
return replace(replace(
    p_sql,
    '(true /*fold*/) and (true /*unplaced*/)',
    '(cast_at < v_until and (p_market_no is null or market_no = p_market_no))'
), '(true /*fold*/)', '(order_key < v_bound and (p_market_no is null or market_no = p_market_no))');
comment on function folds.as_of_sql is 'Returns the text of a model''s select, limited to the log up to a place on chain.';
