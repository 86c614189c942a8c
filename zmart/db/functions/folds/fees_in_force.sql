-- It returns a table, so that the planner inlines it. A call would cost more than the rest of a trade's fold.
create or replace function folds.fees_in_force(p_order_key bigint)
returns table (protocol_bps int, resolver_bps int, lp_bps int)
language sql stable rows 1
begin atomic
    select coalesce(c.protocol_bps, 300), coalesce(c.resolver_bps, 200), coalesce(c.lp_bps, 500)
    from (select) as one
    left join lateral (
        select
            (e.payload ->> 'protocol_fee_bps')::int as protocol_bps,
            (e.payload ->> 'resolver_reward_bps')::int as resolver_bps,
            (e.payload ->> 'liquidity_provider_fee_bps')::int as lp_bps
        from raw.events as e
        where
            e.market_no is null and e.order_key < p_order_key and e.retracted_at is null
            and e.name in ('ConfigUpdated', 'GlobalConfigInitialized')
        order by e.order_key desc
        limit 1
    ) as c on true;
end;
comment on function folds.fees_in_force is
'Returns the fee rates with which the program split a trade at this place on chain. Before any configuration event, these are the rates of initialize (protocol.md 1.4.1).';
