create or replace function folds.refeed_seqs(p_from bigint, p_to bigint, p_affected bigint [], p_all boolean) returns bigint []
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
declare
    v_since bigint;
    v_until bigint;
begin
    select min(order_key) into v_since
    from raw.events
    where
        market_no is null and name in ('ConfigUpdated', 'GlobalConfigInitialized')
        and (seq > p_from and seq <= p_to or seq = any(p_affected));
    if v_since is null then
        return null;
    end if;
    -- A configuration changes nothing after the next one that was known before.
    select min(order_key) into v_until
    from raw.events
    where
        market_no is null and name in ('ConfigUpdated', 'GlobalConfigInitialized') and retracted_at is null
        and order_key > (
            select max(order_key)
            from raw.events
            where
                market_no is null and name in ('ConfigUpdated', 'GlobalConfigInitialized')
                and (seq > p_from and seq <= p_to or seq = any(p_affected))
        );
    if to_regclass('marts.trades') is null then
        -- The models are being deployed for the first time.
        return (
            select array_agg(e.seq)
            from raw.events as e
            where
                e.order_key > v_since and (v_until is null or e.order_key < v_until)
                and e.seq <= p_from and e.name in ('SharesBought', 'SharesSold')
        );
    end if;
    return (
        select array_agg(e.seq)
        from raw.events as e
        left join marts.trades as t on t.seq = e.seq
        cross join lateral folds.fees_in_force(e.order_key) as f
        where
            e.order_key > v_since and (v_until is null or e.order_key < v_until)
            and e.seq <= p_from and e.name in ('SharesBought', 'SharesSold')
            and (
                p_all
                or (t.protocol_bps, t.resolver_bps, t.lp_bps) is distinct from (f.protocol_bps, f.resolver_bps, f.lp_bps)
            )
    );
end
$$;
comment on function folds.refeed_seqs is
'Returns the seqs of trades whose fee rates differ from those in marts.trades, because a configuration of this window precedes them on chain. A trade that is not in marts.trades counts as different. With p_all, returns every trade whose rates the window may change: for tables that are built beside the live one.';
