create or replace function ops.open_intent(
    p_lease text, p_epoch bigint, p_market_no int, p_action text, p_arguments jsonb, p_plan jsonb
) returns bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    v_no bigint;
begin
    perform ops.require_lease(p_lease, p_epoch);
    insert into ops.intents (market_no, action, arguments, plan, lease_epoch)
    values (p_market_no, p_action, p_arguments, p_plan, p_epoch)
    on conflict (market_no, action) where state in ('planned', 'sent', 'landed', 'reopened', 'quarantined')
    do update set arguments = excluded.arguments, plan = excluded.plan, lease_epoch = excluded.lease_epoch
    where intents.state = 'planned'
    returning intent_no into v_no;
    return v_no;
end
$$;
comment on function ops.open_intent is
'Returns the intent for an action of a market, new or taken over from an earlier run that signed nothing. Null while another intent for it is open. ZM409: the lease is not held.';

grant execute on function ops.open_intent to zmart_keeper;
