create or replace function folds.catch_up(p_target text, p_model ops.models, p_from bigint, p_to bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    v_affected bigint [] := folds.affected_seqs(p_from, p_to, p_model.fee_sensitive, p_all => true);
    v_scope text := (select string_agg(quote_ident(c), ', ') from unnest(p_model.scope_columns) as c);
    v_columns text := (select string_agg(quote_ident(c), ', ') from unnest(p_model.columns) as c);
    v_upto bigint := p_from;
    v_in text;
begin
    if p_model.kind = 'ordered' then
        -- The live path continues from the live table. For the other table, the keys of the window are folded again.
        select v_affected || array_agg(seq) into v_affected from raw.events where seq > p_from and seq <= p_to;
        v_upto := p_to;
    end if;
    if v_affected is not null then
        v_in := format('(%s) in (select %s from raw.events where seq = any(%L::bigint []))', v_scope, v_scope, v_affected);
        execute format('delete from %s where %s', p_target, v_in);
        execute format('insert into %s (%s) select %s from (%s) as refolded', p_target, v_columns, v_columns,
            folds.with_window(p_model.fold_sql, format('(%s and seq <= %s)', v_in, v_upto)));
    end if;
    if p_model.kind = 'fold' then
        execute replace(
            folds.with_window(p_model.merge_sql, format('(seq > %s and seq <= %s)', p_from, p_to)), '/*target*/', p_target
        );
    end if;
end
$$;
comment on function folds.catch_up is 'Merges a window into a table: one that is built beside the live one, or the live one of a model that is behind.';
