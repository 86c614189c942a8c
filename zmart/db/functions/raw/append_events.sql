create or replace function raw.append_events(
    -- By index in the batch: the number of the transaction, or 0 if its events are left out.
    p_numbers bigint [],
    -- Slots that lost a transaction in the same commit: others may have its place.
    p_left bigint [],
    -- These have one element per event. p_owners is the index of its transaction, from 1.
    p_owners int [], p_order_keys bigint [], p_ordinals int [], p_names text [], p_clocks bigint [],
    p_payloads jsonb [], p_contexts jsonb [],
    -- Numbers if the writer knows them, else null. Accounts and wallets only if it does not know them completely.
    p_market_nos int [], p_accounts text [], p_market_ids text [], p_wallet_nos int [], p_wallets text [],
    -- The digest of each event for the chain; see raw.append_entries.
    p_event_digests bytea [] default null,
    out o_events int,
    -- The writer may cache these once this is committed.
    out o_accounts text [], out o_market_nos int [], out o_identified boolean [],
    out o_wallets text [], out o_wallet_nos int []
)
language plpgsql
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set max_parallel_workers_per_gather = 0
as $$
declare
    v_head bigint;
    v_slots bigint [];
    v_seqs bigint [];
    v_market_nos int [];
    v_wallet_nos int [];
begin
    if cardinality(array_remove(p_accounts, null)) > 0 then
        insert into raw.markets_seen (market_no, account, market_id)
        select
            (select coalesce(max(m.market_no), 0) from raw.markets_seen as m) + row_number() over (order by named.first_at),
            named.account, named.market_id
        from (
            select g.account, max(g.market_id) as market_id, min(g.position) as first_at
            from unnest(p_accounts, p_market_ids, p_owners) with ordinality as g (account, market_id, owner, position)
            where g.account is not null and p_numbers[g.owner] > 0
            group by g.account
        ) as named
        where not exists (select from raw.markets_seen as m where m.account = named.account);

        -- Only claims had named the account so far (protocol.md 1.7), and now its market id is known. Its earlier events
        -- are folded again.
        with identified as (
            update raw.markets_seen as m set market_id = named.market_id
            from (
                select distinct g.account, g.market_id
                from unnest(p_accounts, p_market_ids, p_owners) as g (account, market_id, owner)
                where g.account is not null and g.market_id is not null and p_numbers[g.owner] > 0
            ) as named
            where m.account = named.account and m.market_id is null
            returning m.market_no
        )
        select array_agg(e.seq order by e.seq), array_agg(e.market_no order by e.seq), array_agg(e.wallet_no order by e.seq)
        into v_seqs, v_market_nos, v_wallet_nos
        from identified
        inner join raw.events as e on e.market_no = identified.market_no
        where e.retracted_at is null;
        perform raw.append_moved(v_seqs, v_market_nos, v_wallet_nos);

        select array_agg(m.account), array_agg(m.market_no), array_agg(m.market_id is not null)
        into o_accounts, o_market_nos, o_identified
        from raw.markets_seen as m
        where m.account = any(p_accounts);
    end if;

    if cardinality(array_remove(p_wallets, null)) > 0 then
        insert into raw.wallets_seen (wallet_no, wallet)
        select
            (select coalesce(max(w.wallet_no), 0) from raw.wallets_seen as w) + row_number() over (order by named.first_at),
            named.wallet
        from (
            select g.wallet, min(g.position) as first_at
            from unnest(p_wallets, p_owners) with ordinality as g (wallet, owner, position)
            where g.wallet is not null and p_numbers[g.owner] > 0
            group by g.wallet
        ) as named
        where not exists (select from raw.wallets_seen as w where w.wallet = named.wallet);

        select array_agg(w.wallet), array_agg(w.wallet_no) into o_wallets, o_wallet_nos
        from raw.wallets_seen as w
        where w.wallet = any(p_wallets);
    end if;

    select coalesce(max(f.seq), 0) into v_head from raw.feed as f;
    with appended as (
        insert into raw.events (
            seq, order_key, transaction_no, ordinal, name, market_no, wallet_no, clock, payload, context
        )
        select
            v_head + row_number() over (order by g.position),
            g.order_key, p_numbers[g.owner], g.ordinal, g.name,
            coalesce(g.market_no, (select m.market_no from raw.markets_seen as m where m.account = g.account)),
            coalesce(g.wallet_no, (select w.wallet_no from raw.wallets_seen as w where w.wallet = g.wallet)),
            g.clock, g.payload, g.context
        from unnest(
            p_owners, p_order_keys, p_ordinals, p_names, p_clocks, p_payloads, p_contexts,
            p_market_nos, p_accounts, p_wallet_nos, p_wallets
        ) with ordinality as g (
            owner, order_key, ordinal, name, clock, payload, context,
            market_no, account, wallet_no, wallet, position
        )
        where p_numbers[g.owner] > 0
        order by g.position
        returning seq, market_no, wallet_no
    )
    select count(*), array_agg(appended.market_no order by appended.seq), array_agg(appended.wallet_no order by appended.seq)
    into o_events, v_market_nos, v_wallet_nos
    from appended;

    if o_events > 0 then
        perform raw.append_entries(
            array_fill('event'::text, array[o_events]), array_fill(null::bigint, array[o_events]), v_market_nos, v_wallet_nos,
            array(
                select g.digest
                from unnest(p_owners, p_event_digests) with ordinality as g (owner, digest, position)
                where p_numbers[g.owner] > 0
                order by g.position
            )
        );
        v_slots := raw.conflicting_slots(v_head);
    end if;
    v_slots := p_left || v_slots;
    if cardinality(v_slots) > 0 then
        perform raw.resolve_order_conflicts(v_slots);
    end if;
end
$$;
comment on function raw.append_events is
'Assigns numbers to new markets and wallets, appends events with their feed rows, and resolves order conflicts. raw.append calls it, and the writer when it replaces a transaction. The caller must hold raw.writer and fold afterwards.';

grant execute on function raw.append_events to zmart_ingest;
