-- A batch enters the log in one statement.
--
-- What belongs to a batch comes as arrays, one per column, and is in the server before anyone waits for it. Under the
-- writer's lock nothing travels any more: which transactions are new, numbers for newcomers, events and their feed rows,
-- places, folds and the bell are one call, and the commit follows. Each statement of these functions takes its own
-- snapshot (READ COMMITTED, volatile), so what follows the lock sees everything committed before it.

-- Bodies of neighbours have most of their text in common: together they take a quarter of the space and of the time.
create table raw.bundles (
    bundle_no bigint primary key,
    content bytea not null
);
alter table raw.bundles alter column content set storage external;
comment on table raw.bundles is
'What was delivered, byte for byte: transactions of one batch behind each other, zlib-compressed. The only rows of the log that may age out.';

alter table raw.transactions add column bundle_no bigint;
alter table raw.transactions add column bundle_start int;
alter table raw.transactions add column bundle_length int;
comment on column raw.transactions.bundle_no is
'The row of raw.bundles that holds the delivered JSON; null where body does. No foreign key, because bundles may age out.';
comment on column raw.transactions.bundle_start is 'Where it begins, in bytes of the decompressed bundle.';
comment on column raw.transactions.bundle_length is 'How many bytes it has.';
comment on column raw.transactions.body is
'The delivered JSON by itself, zlib-compressed, where it is in no bundle. bytea, because a log line may hold U+0000, which jsonb cannot. May age out.';

create function raw.append_events(
    -- By position in the batch: the transaction's number, or 0 where its events are left out.
    p_numbers bigint [],
    -- Slots that lost a transaction in the same commit: others may stand where it stood.
    p_left bigint [],
    -- One element per event; p_owners is the position of its transaction, from 1.
    p_owners int [], p_signatures text [], p_order_keys bigint [], p_ordinals int [], p_names text [], p_clocks bigint [],
    p_payloads jsonb [], p_contexts jsonb [],
    -- Numbers where the writer knows them, else null; accounts and wallets only where it does not know all about them.
    p_market_nos int [], p_accounts text [], p_market_ids text [], p_wallet_nos int [], p_wallets text [],
    out o_events int,
    -- What the writer may remember once this is committed.
    out o_accounts text [], out o_market_nos int [], out o_identified boolean [],
    out o_wallets text [], out o_wallet_nos int []
)
language plpgsql
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
declare
    v_head bigint;
    v_slots bigint [];
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

        -- An account that so far only claims had named (protocol.md 1.7): its earlier events now say more than they did.
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
        insert into raw.feed (seq, kind, ref, market_no, wallet_no)
        select
            (select coalesce(max(f.seq), 0) from raw.feed as f) + row_number() over (order by e.seq),
            'moved', e.seq, e.market_no, e.wallet_no
        from identified
        inner join raw.events as e on e.market_no = identified.market_no
        where e.retracted_at is null;

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
            seq, order_key, transaction_no, ordinal, name, market_no, wallet_no, clock, signature, payload, context
        )
        select
            v_head + row_number() over (order by g.position),
            g.order_key, p_numbers[g.owner], g.ordinal, g.name,
            coalesce(g.market_no, (select m.market_no from raw.markets_seen as m where m.account = g.account)),
            coalesce(g.wallet_no, (select w.wallet_no from raw.wallets_seen as w where w.wallet = g.wallet)),
            g.clock, g.signature, g.payload, g.context
        from unnest(
            p_owners, p_signatures, p_order_keys, p_ordinals, p_names, p_clocks, p_payloads, p_contexts,
            p_market_nos, p_accounts, p_wallet_nos, p_wallets
        ) with ordinality as g (
            owner, signature, order_key, ordinal, name, clock, payload, context,
            market_no, account, wallet_no, wallet, position
        )
        where p_numbers[g.owner] > 0
        order by g.position
        returning seq, market_no, wallet_no
    )
    insert into raw.feed (seq, kind, market_no, wallet_no)
    select appended.seq, 'event', appended.market_no, appended.wallet_no
    from appended;
    get diagnostics o_events = row_count;

    if o_events > 0 then
        v_slots := raw.colliding(v_head);
    end if;
    v_slots := p_left || v_slots;
    if cardinality(v_slots) > 0 then
        perform raw.separate(v_slots);
    end if;
end
$$;
comment on function raw.append_events is
'Number the newcomers among markets and wallets, append events with their feed rows, give colliding ones places of their own. For raw.append and for the writer that replaces a transaction; call it holding raw.writer, fold afterwards.';

create function raw.append(
    p_source text,
    -- One element per transaction, each signature once.
    p_signatures text [], p_slots bigint [], p_indexes int [], p_block_times bigint [], p_errs text [], p_fees text [],
    p_digests bytea [], p_sightings int [],
    -- Their bodies: compressed bundles, and for each transaction which one it is in (from 1), from where, how long.
    p_bundles bytea [], p_bundled int [], p_starts int [], p_lengths int [],
    -- As in raw.append_events.
    p_owners int [], p_event_signatures text [], p_order_keys bigint [], p_ordinals int [], p_names text [],
    p_clocks bigint [], p_payloads jsonb [], p_contexts jsonb [],
    p_market_nos int [], p_accounts text [], p_market_ids text [], p_wallet_nos int [], p_wallets text [],
    -- Signatures named without logs.
    p_wanted text [],
    -- The seqs before and after; equal where nothing was new.
    out o_head bigint, out o_last bigint,
    out o_events int,
    -- Positions of transactions that are new or back again, and of those that differ from what is stored; how many are
    -- not believed but wanted from the chain.
    out o_fresh int [], out o_differing int [], out o_aside int,
    out o_accounts text [], out o_market_nos int [], out o_identified boolean [],
    out o_wallets text [], out o_wallet_nos int [],
    out o_lock_wait_seconds double precision, out o_folds_seconds double precision,
    -- From getting the lock to here; the commit comes on top.
    out o_lock_held_seconds double precision
)
language plpgsql
set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
declare
    v_began timestamptz := clock_timestamp();
    v_taken timestamptz;
    v_folding timestamptz;
    v_known int [];
    v_aside int [];
    v_numbers bigint [];
    v_final bigint;
    v_bundle bigint;
    v_back record;
    v_left bigint [] := '{}';
begin
    lock table raw.writer in exclusive mode;
    v_taken := clock_timestamp();
    select coalesce(max(f.seq), 0) into o_head from raw.feed as f;

    select array_agg(g.position::int) into v_known
    from unnest(p_signatures) with ordinality as g (signature, position)
    inner join raw.transactions as t on t.signature = g.signature;

    -- A delivery for slots that are final already must come from the chain: what is new there is fetched instead.
    if p_source = 'webhook' then
        v_final := raw.finalized_through();
        select array_agg(g.position::int) into v_aside
        from unnest(p_slots) with ordinality as g (slot, position)
        where g.slot <= v_final and not g.position = any(coalesce(v_known, '{}'));
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
        bundle_no, bundle_start, bundle_length
    )
    select
        v_numbers[g.position], g.signature, g.slot, g.index_in_block, g.index_in_block is not null,
        to_timestamp(g.block_time), g.err, g.fee::numeric, g.digest, jsonb_build_object(p_source, g.sightings),
        v_bundle + g.bundled, g.start, g.length
    from unnest(
        p_signatures, p_slots, p_indexes, p_block_times, p_errs, p_fees, p_digests, p_sightings,
        p_bundled, p_starts, p_lengths
    ) with ordinality as g (
        signature, slot, index_in_block, block_time, err, fee, digest, sightings, bundled, start, length, position
    )
    where v_numbers[g.position] > 0
    order by g.position;

    -- Known ones are counted; what was retracted and landed again is opened again, what differs is told to the writer.
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
                -- It keeps the place that is known of it, which this delivery may not know.
                v_left := v_left || p_slots[v_back.position];
            end if;
        end loop;
    end if;
    select array_agg(g.position::int order by g.position) into o_fresh
    from unnest(v_numbers) with ordinality as g (number, position)
    where g.number > 0;

    delete from raw.wanted as w
    using unnest(p_signatures) with ordinality as g (signature, position)
    where w.signature = g.signature and w.reason <> 'differs' and not g.position = any(coalesce(v_aside, '{}'));
    insert into raw.wanted (signature, reason)
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
        v_numbers, v_left, p_owners, p_event_signatures, p_order_keys, p_ordinals, p_names, p_clocks, p_payloads, p_contexts,
        p_market_nos, p_accounts, p_market_ids, p_wallet_nos, p_wallets
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
'Take the writer''s lock, store what is new, fold it and ring; the caller commits. Known transactions are counted, retracted ones that landed again reopened; a webhook for slots that are final is wanted from the chain instead of believed.';

-- Functions keep one plan for all batches. A plan made while the log was nearly empty walks a whole index where it should
-- look one key up, and then each batch takes longer than the one before, until autovacuum comes round.
create function raw.keep_statistics() returns int
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '100ms'
as $$
declare
    v_table regclass;
    v_analyzed int := 0;
begin
    for v_table in
        select c.oid::regclass
        from pg_class as c
        inner join pg_namespace as n on n.oid = c.relnamespace
        where
            n.nspname in ('raw', 'marts') and c.relkind = 'r'
            and pg_relation_size(c.oid) > 4 * c.relpages::bigint * current_setting('block_size')::int
    loop
        begin
            execute format('analyze %s', v_table);
            v_analyzed := v_analyzed + 1;
        exception when lock_not_available then
            -- Somebody is at it already, autovacuum most likely.
            continue;
        end;
    end loop;
    return v_analyzed;
end
$$;
comment on function raw.keep_statistics is
'Analyze the tables of log and marts that have outgrown their statistics fourfold; how many. For the writer of a young log, beside its lock.';

revoke execute on function raw.append, raw.append_events, raw.keep_statistics from public;
grant select, insert on raw.bundles to zmart_ingest;
grant select on raw.bundles to zmart_keeper, zmart_api, analyst;
grant execute on function raw.append, raw.append_events, raw.keep_statistics to zmart_ingest;
