create or replace function ops.store_submission(
    p_lease text, p_epoch bigint, p_intent_no bigint, p_signature text, p_bytes bytea, p_last_valid_block_height bigint,
    p_payer text, p_fee_lamports bigint, p_units int, p_budget_lamports bigint
) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    v_spent numeric;
begin
    perform ops.require_lease(p_lease, p_epoch);
    select coalesce(sum(fee_lamports), 0) into v_spent
    from ops.submissions
    where
        stored_at >= date_trunc('day', clock_timestamp() at time zone 'UTC') at time zone 'UTC'
        and ending is distinct from 'expired';
    if v_spent + p_fee_lamports > p_budget_lamports then
        raise exception 'the budget of % lamports for today is used up: % are spent, and this submission costs %',
            p_budget_lamports, v_spent, p_fee_lamports using errcode = 'ZM429';
    end if;
    update ops.intents set state = 'sent'
    where intent_no = p_intent_no and state = 'planned' and lease_epoch = p_epoch;
    if not found then
        raise exception 'intent % is not planned under epoch %', p_intent_no, p_epoch using errcode = 'ZM409';
    end if;
    insert into ops.submissions (
        signature, intent_no, transaction_bytes, last_valid_block_height, payer, fee_lamports, units, lease_epoch
    )
    values (p_signature, p_intent_no, p_bytes, p_last_valid_block_height, p_payer, p_fee_lamports, p_units, p_epoch);
end
$$;
comment on function ops.store_submission is
'Stores signed bytes before they are sent. ZM409: the lease is not held, or the intent is not planned under it. ZM429: beyond the budget of the day (UTC, fees of all submissions that landed or may land). unique_violation: another submission of the intent may still land.';

grant execute on function ops.store_submission to zmart_keeper;
