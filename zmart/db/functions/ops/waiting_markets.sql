-- Outside the keepers: a keeper that does not run cannot report what waits for it. By the newest event's clock, and without
-- the proofs that a keeper's plan has. Ballots count as in a plan: on chain, or of a wallet with a finalized event before the
-- vote opened. Otherwise free ballots would raise alerts.
create or replace function ops.waiting_markets(p_min_votes int, p_threshold_bps int, p_voting_window int)
returns table (keeper text, market_id text, state text, due_at timestamptz)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    with chain as (
        select to_timestamp(e.clock) as at from raw.events as e order by e.order_key desc limit 1
    ),
    config as (
        select c.dispute_period from marts.protocol_config as c
        where c.dispute_period is not null order by c.order_key desc limit 1
    ),
    counted as (
        select m.market_no, b.vote, b.cast_at
        from marts.markets as m
        inner join marts.ballots as b on m.market_no = b.market_no and b.kind = 'proposal'
        where
            m.is_known and m.state_code = 0
            and (
                b.source = 'chain'
                or exists (
                    select from raw.events as e
                    where
                        e.wallet_no = b.wallet_no and e.retracted_at is null
                        and e.order_key < least(m.created_key, (coalesce(raw.finalized_through(), -1) + 1) << 24)
                )
            )
    ),
    waiting as (
        select
            case
                when
                    m.proposal_likes + m.proposal_dislikes >= p_min_votes
                    and m.proposal_likes * 10000::bigint
                    >= (m.proposal_likes + m.proposal_dislikes) * p_threshold_bps::bigint
                    then 'proposal_approvals'
                else 'proposal_tallies'
            end as keeper,
            m.id, m.state,
            (
                select c.cast_at from counted as c
                where c.market_no = m.market_no
                order by c.cast_at offset greatest(p_min_votes - 1, 0) limit 1
            ) as due_at
        from marts.markets as m
        inner join (
            select c.market_no, count(*) filter (where c.vote) as likes, count(*) as votes
            from counted as c group by c.market_no
        ) as v on m.market_no = v.market_no
        where
            v.votes >= greatest(p_min_votes, 1) and v.likes * 10000 >= v.votes * p_threshold_bps
        union all
        select 'market_activations', m.id, m.state, m.approved_at
        from marts.markets as m
        where m.is_known and m.state_code = 1
        union all
        select 'market_finalizations', m.id, m.state, m.resolution_proposed_at + make_interval(secs => c.dispute_period)
        from marts.markets as m cross join config as c
        where m.is_known and m.state_code = 3
        union all
        select 'dispute_settlements', m.id, m.state, m.dispute_initiated_at + make_interval(secs => p_voting_window)
        from marts.markets as m
        where m.is_known and m.state_code = 4
    )
    select w.keeper, w.id, w.state, w.due_at
    from waiting as w cross join chain as c
    where w.due_at <= c.at;
end
$$;
comment on function ops.waiting_markets is
'Markets that wait for a keeper, and since when it could act, estimated from the marts.';

grant execute on function ops.waiting_markets to zmart_ingest, zmart_keeper, zmart_api;
