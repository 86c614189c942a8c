-- name: config_in_force
-- The current configuration, field by field f: the value of the newest event that has it, else the one that initialize sets
-- (protocol.md 1.4.1). Integers of 64 bits are text.
(
    values
    ('protocol_fee_bps', '300'::jsonb),
    ('resolver_reward_bps', '200'),
    ('liquidity_provider_fee_bps', '500'),
    ('proposal_approval_threshold', '7000'),
    ('dispute_success_threshold', '6000'),
    ('min_resolution_delay', '"86400"'),
    ('dispute_period', '"259200"'),
    ('is_paused', 'false'),
    ('admin', 'null'),
    ('backend_authority', 'null')
) as f (name, initial)
left join lateral (
    select
        case when jsonb_typeof(f.initial) = 'string' then to_jsonb(s.field_value #>> '{}') else s.field_value end as value,
        p.event, p.tx_signature, p.order_key >> 24 as slot, p.seq, p.block_time
    from marts.protocol_config as p
    cross join lateral (select to_jsonb(p) -> f.name as field_value) as s
    where s.field_value <> 'null'
    order by p.order_key desc limit 1
) as s on true
