create or replace function app.append_event_entries(p_event_no int, p_moved int [], p_wallet_no int, p_change jsonb)
returns bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    v_seq bigint := raw.next_seq();
    v_last bigint;
begin
    v_last := raw.append_entries(
        array['event_group'] || array_fill('market_page'::text, array[cardinality(p_moved)]),
        array[p_event_no::bigint] || array(select v_seq + n.place from unnest(p_moved) with ordinality as n (market_no, place)),
        array[null::int] || p_moved,
        array_fill(p_wallet_no, array[1 + cardinality(p_moved)]),
        array_fill(sha256(convert_to(p_change::text, 'UTF8')), array[1 + cardinality(p_moved)])
    );
    perform folds.fold(v_seq - 1, v_last);
    notify zmart_feed;
    return v_last;
end
$$;
comment on function app.append_event_entries is
'Appends an entry about an event, and one for each market that joined or left it, and returns the last seq. The caller must hold raw.writer.';
