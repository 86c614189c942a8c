-- Exported files, and the statement of a wallet.

-- name: exports
-- Published segments of exported files, in order; with a size of a page and the next place.
with found as materialized (
    select e.* from ops.exports as e
    where
        e.dataset = %(kind)s and e.damaged_at is null and e.last_seq > %(after)s
        and e.epoch = (select i.epoch from raw.identity as i)
        and e.location = (select n.location from ops.exports as n order by n.export_no desc limit 1)
    order by e.last_seq
    limit %(limit)s + 1
),
shown as materialized (
    select f.* from found as f order by f.last_seq limit %(limit)s
)
select {stated}, json_build_object(
    'epoch', a.epoch,
    'exported_through', ops.exported_through(),
    'segments', coalesce((
        select json_agg(json_build_object(
            'dataset', s.dataset,
            'first_seq', s.first_seq,
            'last_seq', s.last_seq,
            'rows', s.rows,
            'bytes', s.bytes,
            'chain_value', s.chain_value,
            'manifest', '/api/exports/files/' || s.manifest_path,
            'manifest_sha256', s.manifest_sha256,
            'exported_at', s.exported_at,
            'verified_at', s.verified_at,
            'files', (
                select json_agg(json_build_object(
                    'table', f.file ->> 'table',
                    'rows', (f.file ->> 'rows')::bigint,
                    'bytes', (f.file ->> 'bytes')::bigint,
                    'sha256', f.file ->> 'sha256',
                    'url', '/api/exports/files/' || left(s.manifest_path, -length('manifest.json')) || (f.file ->> 'path')
                ) order by f.position)
                from jsonb_array_elements(s.files) with ordinality as f (file, position)
            )
        ) order by s.last_seq)
        from shown as s
    ), '[]'),
    'count', (select count(*) from shown),
    'next_after', case when (select count(*) from found) > %(limit)s then (select max(s.last_seq) from shown as s) end,
    'as_of', {as_of}
) as body
from ops.as_of(array[]::text[]) as a;

-- name: exported_file
-- The location of a published file, by its path; no row for any other path.
select e.location from ops.exports as e
where
    e.damaged_at is null
    -- Three names lead to a segment, so no other row's files are unpacked.
    and e.manifest_path = array_to_string((string_to_array(%(path)s, '/'))[1:3], '/') || '/manifest.json'
    and (
        e.manifest_path = %(path)s
        or exists (
            select from jsonb_array_elements(e.files) as f (file)
            where left(e.manifest_path, -length('manifest.json')) || (f.file ->> 'path') = %(path)s
        )
    )
order by e.export_no desc
limit 1;

-- name: wallet_statement
-- The trades and payouts of a wallet in a period, the oldest first: one array for each line.
with lines as materialized (
    select
        t.order_key, t.block_time, t.trade_type as kind, t.market_id, t.outcome as side, t.shares, t.gross,
        t.protocol_fee + t.resolver_fee + t.lp_fee as fees, t.fees_exact,
        case t.trade_type when 'buy' then -t.cost else t.cost end as amount, t.tx_signature, t.seq
    from marts.trades as t
    where
        t.wallet_no = {the_wallet} and t.block_time >= coalesce(%(from_at)s::timestamptz, '-infinity')
        and t.block_time < coalesce(%(to_at)s::timestamptz, 'infinity')
    union all
    select
        v.order_key, v.block_time,
        case
            when v.event = 'LiquidityWithdrawn' then 'liquidity_withdrawn'
            when v.action = 'took the refund' then 'refund'
            else 'claim'
        end,
        v.market_id, null, null, v.amount, 0, true, v.amount, v.tx_signature, v.seq
    from marts.activity as v
    where
        v.wallet_no = {the_wallet} and v.event in ('WinningsClaimed', 'LiquidityWithdrawn')
        and v.block_time >= coalesce(%(from_at)s::timestamptz, '-infinity')
        and v.block_time < coalesce(%(to_at)s::timestamptz, 'infinity')
    order by order_key
    limit %(limit)s + 1
)
select {stated}, coalesce((
    select json_agg(json_build_array(
        to_char(l.block_time at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), l.kind, l.market_id, l.side,
        l.shares::text, l.gross::text, l.fees::text, l.fees_exact, l.amount::text, l.tx_signature, l.seq,
        case when (l.order_key >> 24) <= coalesce(raw.finalized_through(), -1) then 'finalized' else 'confirmed' end
    ) order by l.order_key, l.seq)
    from lines as l
), '[]') as body
from ops.as_of(array['priced_trades']) as a;
