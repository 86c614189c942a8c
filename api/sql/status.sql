-- The state of the log, its completeness and its finality.

-- name: status
-- The state of the log and its marts, and the proof of their completeness. Texts of alerts are for operators.
select {stated}, (
    select json_build_object(
        'epoch', a.epoch,
        'seq', a.seq,
        'position', {feed_position},
        'slot', a.slot,
        'commitment', a.commitment,
        'verified_through', c.verified_through,
        'finalized_through', f.finalized_through,
        'completeness', json_build_object(
            'state', coalesce(k.value ->> 'state', 'unverified'),
            'reason', case
                when k.value ->> 'reason' is null
                then 'No walk of the chain''s history has proven yet that nothing is missing before this slot.'
                when %(has_texts)s or k.value ->> 'state' in ('verified', 'behind') then k.value ->> 'reason'
                when k.value ->> 'state' = 'refused' then 'The node, the configuration and the log name different chains.'
                else 'The chain''s history cannot be read now.'
            end,
            'consensus', coalesce(k.value ->> 'consensus', 'unknown'),
            'slot_seconds', (k.value ->> 'slot_seconds')::double precision
        ),
        'gaps', coalesce((
            select json_agg(row_to_json(s) order by s.gap_no) from (
                select
                    g.gap_no, g.from_slot, g.to_slot, d.at as accepted_at,
                    case when %(has_texts)s then d.reason end as reason,
                    count(*) filter (where o.kind = 'unfetched') as missing,
                    count(*) filter (where o.kind = 'unlisted') as unproven
                from ops.accepted_gaps as g
                inner join ops.audit as d on g.audit_no = d.audit_no
                inner join ops.gap_transactions as o on g.gap_no = o.gap_no and o.closed_at is null
                group by g.gap_no, d.audit_no
            ) as s
        ), '[]'),
        'lag', json_build_object(
            'last_entry_at', l.at,
            'last_entry_age_seconds', round(extract(epoch from clock_timestamp() - l.at), 3),
            'last_event_at', to_timestamp(least(greatest(e.clock, 0), 253402300799)),
            'last_event_age_seconds', round(extract(epoch from clock_timestamp()) - e.clock, 3)
        ),
        'models', coalesce((
            select json_agg(row_to_json(s) order by s.name) from (
                select
                    m.name, m.kind, m.is_stale, m.applied_seq, m.behind, m.stale_since, m.failed_event,
                    case when %(has_texts)s then m.reason end as reason, m.built_at, m.is_behind, m.behind_since, m.next_attempt_at
                from ops.model_status as m
            ) as s
        ), '[]'),
        'scheduled_marts', coalesce((
            select json_agg(json_build_object(
                'name', m.name,
                'applied_seq', m.applied_seq,
                'refreshed_at', m.refreshed_at,
                -- Rows that the log has not changed since are as good as new ones.
                'is_overdue', m.refreshed_at < clock_timestamp() - interval '15 minutes'
                    and exists (
                        select from raw.feed as h
                        where
                            h.seq > m.applied_seq and h.kind <> 'finalized_through'
                            and h.at < clock_timestamp() - interval '15 minutes'
                    )
            ) order by m.name)
            from ops.scheduled_models as m
        ), '[]'),
        'keepers', (
            select json_agg(json_build_object(
                'name', n.name,
                'waiting', (b.value ->> n.name)::int,
                'last_round_at', r.ran_at,
                'last_round_age_seconds', round(extract(epoch from clock_timestamp() - r.ran_at), 3),
                'is_dry', r.is_dry,
                'outcome', r.outcome,
                'due', r.due,
                'sent', r.sent
            ) order by n.place)
            from unnest(array[
                'proposal_tallies', 'proposal_approvals', 'market_activations', 'market_finalizations', 'dispute_settlements'
            ]) with ordinality as n (name, place)
            left join ops.cursors as b on b.name = 'keeper_backlog'
            left join lateral (
                select k.* from ops.keeper_rounds as k where k.keeper = n.name order by k.ran_at desc limit 1
            ) as r on true
        ),
        'dead_letters', (select count(*) from raw.dead_letters as d where d.resolved_at is null),
        'wanted', (select count(*) from raw.pending_signatures),
        'alerts', coalesce((
            select json_agg(row_to_json(s) order by s.severity = 'critical' desc, s.last_at desc) from (
                select
                    t.kind,
                    (array_agg(t.severity order by array_position(array['critical', 'warning', 'info'], t.severity)))[1]
                    as severity,
                    count(*) as open,
                    max(t.last_at) as last_at,
                    case when %(has_texts)s then (
                        array_agg(json_build_object(
                            'subject', t.subject, 'severity', t.severity, 'message', t.message,
                            'occurrences', t.occurrences, 'raised_at', t.raised_at, 'last_at', t.last_at
                        ) order by t.last_at desc)
                    )[:20] end as details
                from ops.alerts as t where t.resolved_at is null
                group by t.kind
            ) as s
        ), '[]'),
        'as_of', {as_of}
    )
    from (select raw.verified_through() as verified_through) as c
    cross join (select raw.finalized_through() as finalized_through) as f
    left join ops.cursors as k on k.name = 'completeness'
    left join (select o.at from raw.feed as o order by o.seq desc limit 1) as l on true
    left join (select v.clock from raw.events as v order by v.order_key desc limit 1) as e on true
) as body
from ops.as_of('{}') as a;

-- name: readiness
-- The log's epoch, head and its mark, and which marts that the answers need are missing, stale or behind.
select
    (select i.epoch::text from raw.identity as i) as epoch,
    coalesce((select max(f.seq) from raw.feed as f), 0) as seq,
    raw.mark_of((select max(f.seq) from raw.feed as f)) as mark,
    array(
        select n from unnest(array[
            'markets', 'trades', 'positions', 'ballots', 'vote_tallies', 'candles_1m', 'activity', 'holders', 'market_lifecycle',
            'protocol_config', 'portfolio'
        ]) as n
        where to_regclass('marts.' || n) is null
    ) as missing,
    array(select m.name from ops.models as m where m.stale_since is not null order by m.name) as stale,
    array(select m.name from ops.model_status as m where m.is_behind order by m.name) as behind,
    (select array[w.waited_seconds::text, w.holder_pid::text, w.holder_login, w.holder_name] from raw.writer_wait() as w) as waits;

-- name: protocol
-- The program's current configuration, and the event that set each part of it.
select {stated}, (
    select jsonb_object_agg(f.name, coalesce(s.value, f.initial)) || jsonb_build_object(
        'set_by', jsonb_object_agg(f.name, case when s.value is not null then jsonb_build_object(
            'event', s.event, 'tx_signature', s.tx_signature, 'slot', s.slot, 'seq', s.seq, 'block_time', s.block_time
        ) end),
        'as_of', {as_of}
    )
    from {config_in_force}
) as body
from ops.as_of(array['protocol_config']) as a;

-- name: own_history
-- The end of the log with its mark, and the mark that this log has for a position.
select i.epoch::text, h.seq, raw.mark_of(h.seq), raw.mark_of(%(seq)s::bigint)
from raw.identity as i
cross join (select coalesce(max(f.seq), 0) as seq from raw.feed as f) as h;

-- name: head
-- The end of the log.
select i.epoch::text, coalesce((select max(f.seq) from raw.feed as f), 0) from raw.identity as i;
