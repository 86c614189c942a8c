create or replace function raw.append_entries(
    -- One element per entry. Digests: of the text for kinds that wallets write; of signature, ordinal and
    -- bytes for event (zmart/chain/event_digests.py); null for the others.
    p_kinds text [], p_refs bigint [], p_market_nos int [], p_wallet_nos int [], p_digests bytea []
) returns bigint
-- Only this function may insert into raw.feed, so that no entry escapes the chain.
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
as $$
declare
    v_head bigint;
    v_leaves bytea;
    v_lacks_digests boolean;
    v_entries int := coalesce(cardinality(p_kinds), 0);
begin
    select coalesce(max(f.seq), 0) into v_head from raw.feed as f;
    if v_entries = 0 then
        return v_head;
    end if;
    -- A connection may outlive a promotion, or tables that a dump has replaced; the other parts of the identity cannot change
    -- beneath a connection.
    if not exists (
        select from raw.identity as i where i.feed_oid = 'raw.feed'::regclass::oid and i.timeline = raw.timeline()
    ) then
        if raw.is_history_awaited()
            and exists (select from raw.identity as i where i.feed_oid = 'raw.feed'::regclass::oid) then
            -- The connection is older than the promotion, or nobody has proven the history yet. The caller opens another connection,
            -- which calls raw.confirm_identity.
            raise exception 'The log waits for a process that holds its history; append again in some seconds'
            using errcode = 'cannot_connect_now';
        end if;
        perform raw.renew_identity();
    end if;
    insert into raw.feed (seq, kind, ref, market_no, wallet_no, digest)
    select
        v_head + g.position, g.kind, g.ref, g.market_no, g.wallet_no,
        case
            when g.kind not in ('event', 'retracted', 'moved', 'finalized_through', 'mart_stale') then g.digest
        end
    from unnest(p_kinds, p_refs, p_market_nos, p_wallet_nos, p_digests) with ordinality as g (
        kind, ref, market_no, wallet_no, digest, position
    )
    order by g.position;
    select
        string_agg(
            raw.leaf(v_head + g.position, g.kind, coalesce(g.digest, raw.reference_digest(g.ref))), '' order by g.position
        ),
        coalesce(bool_or(g.kind = 'event' and g.digest is null), false)
    into v_leaves, v_lacks_digests
    from unnest(p_kinds, p_refs, p_digests) with ordinality as g (kind, ref, digest, position);
    -- A process of the version before sends no digests; these entries are sealed later, from what is stored.
    if v_lacks_digests then
        update raw.identity set unsealed_through = v_head + v_entries
        where
            unsealed_through = v_head
            or v_head = coalesce((select max(c.last_seq) from raw.commits as c), 0);
    else
        perform raw.extend_chain(v_head + 1, v_head + v_entries, v_leaves);
    end if;
    return v_head + v_entries;
end
$$;
comment on function raw.append_entries is
'Append entries to the feed and to the chain in their order; the seq of the last. Call it holding raw.writer, fold afterwards.';

grant execute on function raw.append_entries to zmart_ingest;
