create or replace function ops.gap_of_market(p_market_no int) returns bigint
language sql stable parallel safe
begin atomic
    select min(g.gap_no)
    from ops.gap_transactions as g
    where
        g.closed_at is null
        and case
            when g.kind = 'unlisted' then exists (
                select from raw.transactions as t
                inner join raw.events as e on t.transaction_no = e.transaction_no
                where t.signature = g.signature and e.market_no = p_market_no and e.retracted_at is null
            )
            else coalesce(p_market_no = any(g.market_nos), exists (
                select from raw.events as e
                where e.market_no = p_market_no and e.order_key < (g.slot + 1) << 24
            ))
        end;
end;
comment on function ops.gap_of_market is
'Returns the first open gap with a transaction that concerns, or may concern, a market. Null if there is none.';

grant execute on function ops.gap_of_market to zmart_ingest, zmart_keeper, zmart_api;
