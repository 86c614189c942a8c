-- A window retracts or moves earlier events. For models that split fees, a late configuration also changes the rates of
-- the trades after it on chain, and a late trade changes the totals of the sells after it.
create or replace function folds.affected_seqs(
    p_from bigint, p_to bigint, p_fee_sensitive boolean, p_all boolean default false
) returns bigint []
language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
declare
    v_affected bigint [];
    v_others bigint [];
begin
    select array_agg(distinct ref) into v_affected
    from raw.feed
    where seq > p_from and seq <= p_to and kind in ('retracted', 'moved');
    if p_fee_sensitive then
        v_others := folds.refeed_seqs(p_from, p_to, v_affected, p_all) || folds.reordered_seqs(p_from, p_to, v_affected, p_all);
    end if;
    return nullif(coalesce(v_affected, '{}') || coalesce(v_others, '{}'), '{}');
end
$$;
comment on function folds.affected_seqs is
'Returns the seqs of events before the window whose contribution the window changes, or null: retracted, moved, and for models that split fees those with other rates or other totals.';
