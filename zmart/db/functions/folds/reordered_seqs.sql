create or replace function folds.reordered_seqs(p_from bigint, p_to bigint, p_affected bigint [], p_all boolean) returns bigint []
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
declare
    v_since bigint;
    v_all boolean := p_all or exists (select from ops.models where name in ('trades', 'priced_trades') and applied_seq is not null);
begin
    if not v_all then
        -- A migration runs before the models that belong to it, and the log does not wait for them.
        if not exists (
            select from pg_attribute
            where attrelid = to_regclass('marts.trades') and attname = 'gross_from' and not attisdropped
        ) then
            return null;
        end if;
        -- Nearly always no sell after the window depends on it, and the function returns here.
        -- The + 0 prevents that the planner searches the minimum by reading the index on order_key through all of the log.
        select min(e.order_key + 0) into v_since
        from raw.events as e
        where e.seq > p_from and e.seq <= p_to and e.name in ('MarketCreated', 'SharesBought', 'SharesSold');
        if p_affected is null and not exists (
            select from marts.trades where gross_from in ('totals', 'provisional') and order_key > v_since
        ) and not exists (
            select from raw.events where seq > p_from and seq <= p_to and name = 'MarketCreated'
        ) then
            return null;
        end if;
    end if;
    return (
        select array_agg(sold.seq)
        from (
            select w.market_no, min(w.since) as since, bool_or(w.is_creation) as is_creation
            from (
                select e.market_no, e.order_key as since, e.name = 'MarketCreated' as is_creation
                from raw.events as e
                where e.seq > p_from and e.seq <= p_to and e.name in ('MarketCreated', 'SharesBought', 'SharesSold')
                union all
                -- Its earlier place is not known.
                select e.market_no, 0, e.name = 'MarketCreated'
                from raw.events as e
                where e.seq = any(p_affected) and e.name in ('MarketCreated', 'SharesBought', 'SharesSold')
            ) as w
            group by w.market_no
        ) as changed
        inner join raw.events as sold on sold.market_no = changed.market_no and sold.order_key > changed.since
        where
            sold.name = 'SharesSold' and sold.seq <= p_from
            -- Later trades depend on earlier ones, and after a creation all whose gross b decides or would decide.
            and (v_all or exists (
                select from marts.trades as t
                where
                    t.seq = sold.seq
                    and (t.gross_from in ('totals', 'provisional') or changed.is_creation and t.gross_from in ('step', 'estimated'))
            ))
    );
end
$$;
comment on function folds.reordered_seqs is
'Returns the seqs of sells before the window whose gross follows from a b or from totals that the window changes. With p_all, or while marts.trades does not follow the log, returns every sell after a change.';
