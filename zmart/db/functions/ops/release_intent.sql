create or replace function ops.release_intent(p_intent_no bigint, p_who text) returns boolean
language sql volatile set search_path = pg_catalog, pg_temp
begin atomic
    with released as (
        update ops.intents
        set
            state = 'refused', closed_at = clock_timestamp(),
            outcome = jsonb_build_object('kind', 'released', 'words', 'Released by ' || p_who || '.', 'before', outcome)
        where
            intent_no = p_intent_no and state = 'quarantined'
            and not exists (select from ops.submissions as s where s.intent_no = p_intent_no and s.ending is null)
        returning true
    )
    select exists(select from released);
end;
comment on function ops.release_intent is
'Closes a quarantined intent after an operator has looked at it, so that the next run can plan the action again. Returns false if it is not quarantined, or if a submission of it may still land.';

grant execute on function ops.release_intent to zmart_keeper;
