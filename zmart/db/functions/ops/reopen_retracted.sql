create or replace function ops.reopen_retracted() returns setof bigint
language sql volatile set search_path = pg_catalog, pg_temp
begin atomic
    with retracted as (
        select i.intent_no, s.signature
        from ops.intents as i
        inner join ops.submissions as s on i.intent_no = s.intent_no and s.ending = 'landed'
        inner join raw.transactions as t on s.signature = t.signature
        where
            i.state in ('done', 'landed') and t.retracted_at is not null
            and not exists (
                select from ops.intents as o
                where
                    o.market_no = i.market_no and o.action = i.action and o.intent_no <> i.intent_no
                    and o.state in ('planned', 'sent', 'landed', 'reopened', 'quarantined')
            )
    ),
    reset_submissions as (
        update ops.submissions as s set ending = null, ended_at = null
        from retracted where s.signature = retracted.signature
    )
    update ops.intents as i set state = 'reopened', closed_at = null
    from retracted where i.intent_no = retracted.intent_no
    returning i.intent_no;
end;
comment on function ops.reopen_retracted is
'Opens intents again whose transaction was retracted, because the chain is proven not to hold it, and returns them. The signed bytes may still land until they are proven expired again.';

grant execute on function ops.reopen_retracted to zmart_keeper;
