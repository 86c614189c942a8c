create or replace function raw.append(
    p_source text,
    -- These have one element per transaction, and each signature occurs once.
    p_signatures text [], p_slots bigint [], p_indexes int [], p_block_times bigint [], p_errs text [], p_fees text [],
    p_digests bytea [], p_sightings int [],
    -- Their bodies are in compressed bundles. For each transaction: number of the bundle (from 1), offset and length.
    p_bundles bytea [], p_bundled int [], p_starts int [], p_lengths int [],
    -- These are the parameters of raw.append_events.
    p_owners int [], p_order_keys bigint [], p_ordinals int [], p_names text [],
    p_clocks bigint [], p_payloads jsonb [], p_contexts jsonb [],
    p_market_nos int [], p_accounts text [], p_market_ids text [], p_wallet_nos int [], p_wallets text [],
    -- These signatures were reported without logs.
    p_wanted text [],
    -- These are as in raw.append_events.
    p_event_digests bytea [] default null,
    -- The last seq before and after; equal if nothing was new.
    out o_head bigint, out o_last bigint,
    out o_events int,
    -- Indexes (from 1) of transactions that are new or landed again, and of those that differ from the stored ones; number
    -- of those that are not stored but requested from the chain.
    out o_fresh int [], out o_differing int [], out o_aside int,
    out o_accounts text [], out o_market_nos int [], out o_identified boolean [],
    out o_wallets text [], out o_wallet_nos int [],
    out o_lock_wait_seconds double precision, out o_folds_seconds double precision,
    -- The time from getting the lock to the end of this function, without the commit.
    out o_lock_held_seconds double precision
)
language plpgsql
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set max_parallel_workers_per_gather = 0
as $$
declare
    v_began timestamptz := clock_timestamp();
    v_taken timestamptz;
    v_folding timestamptz;
    v_known int [];
    v_aside int [];
    v_numbers bigint [];
    v_final bigint;
    v_newest bigint;
    v_bundle bigint;
    v_back record;
    v_left bigint [] := '{}';
    v_settled bigint [];
    v_fuller int [];
    v_seqs bigint [];
    v_market_nos int [];
    v_wallet_nos int [];
begin
    lock table raw.writer in exclusive mode;
    v_taken := clock_timestamp();
    select coalesce(max(f.seq), 0) into o_head from raw.feed as f;

    select array_agg(g.position::int) into v_known
    from unnest(p_signatures) with ordinality as g (signature, position)
    inner join raw.transactions as t on t.signature = g.signature;

    -- New transactions in slots that are already final, or that the chain cannot have reached, must come from the chain, so
    -- they are fetched and not stored.
    if p_source = 'webhook' then
        v_final := raw.finalized_through();
        v_newest := raw.newest_possible_slot();
        select array_agg(g.position::int) into v_aside
        from unnest(p_slots) with ordinality as g (slot, position)
        where
            (g.slot <= v_final or g.slot > v_newest) and not g.position = any(coalesce(v_known, '{}'))
            -- A node lists it there, and an operator accepted that no node serves it: this delivery fills the gap.
            and not exists (
                select from ops.gap_transactions as o
                where
                    o.signature = p_signatures[g.position] and o.slot = g.slot and p_errs[g.position] is null
                    and o.closed_at is null
            );
    end if;
    o_aside := coalesce(cardinality(v_aside), 0);

    select coalesce(array_agg(g.number order by g.position), '{}') into v_numbers
    from (
        select
            n as position,
            case
                when not is_left_out then (select coalesce(max(t.transaction_no), 0) from raw.transactions as t)
                    + row_number() over (partition by is_left_out order by n)
                else 0
            end as number
        from generate_series(1, cardinality(p_signatures)) as n
        cross join lateral (select coalesce(n = any(v_known || v_aside), false) as is_left_out) as left_out
    ) as g;

    select coalesce(max(b.bundle_no), 0) into v_bundle from raw.bundles as b;
    insert into raw.bundles (bundle_no, content)
    select v_bundle + g.position, g.content
    from unnest(p_bundles) with ordinality as g (content, position)
    where g.position = any(array(
        select distinct b.bundled
        from unnest(p_bundled) with ordinality as b (bundled, position)
        where v_numbers[b.position] > 0
    ));

    insert into raw.transactions (
        transaction_no, signature, slot, index_in_block, order_settled, block_time, err, fee_lamports, digest, sightings,
        bundle_no, bundle_start, bundle_length, first_source
    )
    select
        v_numbers[g.position], g.signature, g.slot, g.index_in_block, g.index_in_block is not null,
        to_timestamp(g.block_time), g.err, g.fee::numeric, g.digest, jsonb_build_object(p_source, g.sightings),
        v_bundle + g.bundled, g.start, g.length, p_source
    from unnest(
        p_signatures, p_slots, p_indexes, p_block_times, p_errs, p_fees, p_digests, p_sightings,
        p_bundled, p_starts, p_lengths
    ) with ordinality as g (
        signature, slot, index_in_block, block_time, err, fee, digest, sightings, bundled, start, length, position
    )
    where v_numbers[g.position] > 0
    order by g.position;

    -- Known transactions are counted. Retracted ones that landed again are reopened. Differing ones are returned.
    if v_known is not null then
        for v_back in
            select g.position::int as position, t.transaction_no, t.digest = g.digest as is_same, t.retracted_at is not null as is_retracted
            from unnest(p_signatures, p_digests) with ordinality as g (signature, digest, position)
            inner join raw.transactions as t on t.signature = g.signature
            where g.position = any(v_known)
        loop
            update raw.transactions as t
            set
                sightings = jsonb_set(
                    t.sightings, array[p_source],
                    to_jsonb(coalesce((t.sightings ->> p_source)::int, 0) + p_sightings[v_back.position])
                ),
                retracted_at = case when v_back.is_same then null else t.retracted_at end
            where t.transaction_no = v_back.transaction_no;
            if not v_back.is_same then
                o_differing := o_differing || v_back.position;
            elsif v_back.is_retracted then
                v_numbers[v_back.position] := v_back.transaction_no;
                -- Its known place remains, because this delivery may lack it.
                v_left := v_left || p_slots[v_back.position];
            end if;
        end loop;
    end if;

    -- A fuller delivery of a known transaction adds what the first lacked: its place, its time and the events' context.
    if v_known is not null then
        with added as (
            update raw.transactions as t
            set
                index_in_block = coalesce(g.index_in_block, t.index_in_block),
                order_settled = t.order_settled or g.index_in_block is not null,
                block_time = coalesce(t.block_time, to_timestamp(g.block_time)),
                fee_lamports = coalesce(t.fee_lamports, g.fee::numeric)
            from unnest(p_signatures, p_digests, p_indexes, p_block_times, p_fees) as g (
                signature, digest, index_in_block, block_time, fee
            )
            where
                t.signature = g.signature and t.digest = g.digest and t.retracted_at is null
                and (
                    (g.index_in_block is not null and not t.order_settled)
                    or (g.block_time is not null and t.block_time is null)
                    or (g.fee is not null and t.fee_lamports is null)
                )
            returning t.slot, t.order_settled
        )
        select array_agg(distinct a.slot) filter (where a.order_settled) into v_settled from added as a;

        with given as (
            select t.transaction_no, g.owner, g.ordinal, g.name, g.clock, g.payload, g.context
            from unnest(p_owners, p_ordinals, p_names, p_clocks, p_payloads, p_contexts) as g (
                owner, ordinal, name, clock, payload, context
            )
            inner join raw.transactions as t
                on t.signature = p_signatures[g.owner] and t.digest = p_digests[g.owner]
            where g.owner = any(v_known)
        ),
        same as (
            -- Where a log was cut, a delivery without instructions numbers the later events otherwise: contexts are
            -- added only if both have the same events under the same ordinals.
            select g.owner
            from given as g
            left join raw.events as e
                on e.transaction_no = g.transaction_no and e.ordinal = g.ordinal and e.retracted_at is null
                and e.name = g.name and e.clock = g.clock and e.payload = g.payload
            group by g.owner, g.transaction_no
            having count(e.seq) = count(*) and count(*) = (
                select count(*) from raw.events as o where o.transaction_no = g.transaction_no and o.retracted_at is null
            )
        ),
        added as (
            update raw.events as e
            set context = g.context || coalesce(e.context, '{}')
            from given as g
            inner join same on same.owner = g.owner
            where
                e.transaction_no = g.transaction_no and e.ordinal = g.ordinal and e.retracted_at is null
                and exists (select from jsonb_object_keys(g.context) as k (name) where not coalesce(e.context, '{}') ? k.name)
            returning
                e.seq, e.market_no, e.wallet_no, g.owner,
                not exists (
                    select from jsonb_object_keys(e.context) as k (name) where not g.context ? k.name
                ) as has_everything
        ),
        fuller as (
            select a.owner from added as a group by a.owner having bool_and(a.has_everything)
        )
        select
            array_agg(a.seq order by a.seq), array_agg(a.market_no order by a.seq), array_agg(a.wallet_no order by a.seq),
            (select array_agg(f.owner) from fuller as f)
        into v_seqs, v_market_nos, v_wallet_nos, v_fuller
        from added as a;
        if v_fuller is not null then
            -- Its body replaces the poorer one, so that decoding it again gives the same rows.
            insert into raw.bundles (bundle_no, content)
            select v_bundle + g.position, g.content
            from unnest(p_bundles) with ordinality as g (content, position)
            where exists (select from unnest(v_fuller) as f (owner) where p_bundled[f.owner] = g.position)
            on conflict (bundle_no) do nothing;
            update raw.transactions as t
            set
                body = null, bundle_no = v_bundle + p_bundled[f.owner], bundle_start = p_starts[f.owner],
                bundle_length = p_lengths[f.owner]
            from unnest(v_fuller) as f (owner)
            where t.signature = p_signatures[f.owner];
        end if;
        perform raw.append_moved(v_seqs, v_market_nos, v_wallet_nos);
        if v_settled is not null then
            perform raw.resolve_order_conflicts(v_settled);
        end if;
    end if;

    select array_agg(g.position::int order by g.position) into o_fresh
    from unnest(v_numbers) with ordinality as g (number, position)
    where g.number > 0;

    delete from raw.pending_signatures as w
    using unnest(p_signatures) with ordinality as g (signature, position)
    where w.signature = g.signature and w.reason <> 'differs' and not g.position = any(coalesce(v_aside, '{}'));
    insert into raw.pending_signatures (signature, reason)
    select given.signature, format('named by %s without logs', p_source)
    from (
        select w.signature from unnest(p_wanted) as w (signature)
        union
        select p_signatures[a.position] from unnest(v_aside) as a (position)
    ) as given
    where not exists (select from raw.transactions as t where t.signature = given.signature)
    on conflict (signature) do nothing;

    select * into o_events, o_accounts, o_market_nos, o_identified, o_wallets, o_wallet_nos
    from raw.append_events(
        v_numbers, v_left, p_owners, p_order_keys, p_ordinals, p_names, p_clocks, p_payloads, p_contexts,
        p_market_nos, p_accounts, p_market_ids, p_wallet_nos, p_wallets, p_event_digests
    );

    select coalesce(max(f.seq), 0) into o_last from raw.feed as f;
    v_folding := clock_timestamp();
    if o_last > o_head then
        perform folds.fold(o_head, o_last);
        notify zmart_feed;
    end if;
    o_lock_wait_seconds := extract(epoch from v_taken - v_began);
    o_folds_seconds := extract(epoch from clock_timestamp() - v_folding);
    o_lock_held_seconds := extract(epoch from clock_timestamp() - v_taken);
end
$$;
comment on function raw.append is
'Takes the writer''s lock, stores new transactions, folds them and notifies. The caller commits. Known transactions are counted, and retracted ones that landed again are reopened. New ones that a webhook delivers for final slots, or for slots that the chain cannot have reached, are requested from the chain and not stored.';

grant execute on function raw.append to zmart_ingest;
