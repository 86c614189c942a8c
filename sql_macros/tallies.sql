{#
    Tallies: ballots counted by market, kind and class. One text, used by the view over all ballots and by the function that
    counts those up to a slot.

    Known is a wallet with a finalized event, in no open gap, before the vote opened, which is the market's creation or the dispute's
    initiation. What a wallet does later says nothing: one cheap transaction would turn a ballot into one that counts.
#}

{% macro tallies(ballots, markets, settings, events, feed, gap_transactions, transactions) -%}
with final_part as (
    select (max(feed.ref) + 1) << 24 as end_key from {{ feed }} as feed where feed.kind = 'finalized_through'
),

ballots as (
    select
        ballots.*,
        ballots.source = 'chain' as is_on_chain,
        ballots.source = 'api' and exists (
            select 1 from {{ events }} as events
            where
                events.wallet_no = ballots.wallet_no and events.retracted_at is null and events.order_key < final_part.end_key
                and not exists (
                    select 1 from {{ gap_transactions }} as gaps
                    inner join {{ transactions }} as transactions on gaps.signature = transactions.signature
                    where transactions.transaction_no = events.transaction_no and gaps.closed_at is null
                )
                and events.order_key < case ballots.kind when 'dispute' then markets.initiation_key else markets.created_key end
        ) as is_known,
        markets.dispute_initiated_at + make_interval(secs => settings.value) as voting_closes_at
    from {{ ballots }} as ballots
    inner join {{ markets }} as markets on ballots.market_no = markets.market_no
    cross join {{ settings }} as settings
    cross join final_part
    where settings.name = 'dispute_voting_window_seconds'
)

select
    market_no,
    max(market_id) as market_id,
    kind,
    count(*) filter (where vote) as agree,
    count(*) filter (where not vote) as disagree,
    count(*) as total,
    count(*) filter (where vote and is_on_chain) as on_chain_agree,
    count(*) filter (where not vote and is_on_chain) as on_chain_disagree,
    count(*) filter (where vote and is_known) as off_chain_known_agree,
    count(*) filter (where not vote and is_known) as off_chain_known_disagree,
    count(*) filter (where vote and not is_on_chain and not is_known) as off_chain_unseen_agree,
    count(*) filter (where not vote and not is_on_chain and not is_known) as off_chain_unseen_disagree,
    case kind when 'dispute' then max(voting_closes_at) end as voting_closes_at,
    max(last_seq) as last_seq
from ballots
where kind = 'proposal' or cast_at < voting_closes_at
group by market_no, kind
{%- endmacro %}

{# The starts of proposals and disputes up to then. Not from marts.markets_as_of, which prices every trade of the market for its row. #}
{% macro openings_as_of() -%}
    (
        select
            market_no,
            {{ instant(last_by('clock', 'order_key', "name = 'DisputeInitiated'")) }} as dispute_initiated_at,
            max(order_key) filter (where name = 'DisputeInitiated') as initiation_key,
            max(order_key) filter (where name = 'MarketCreated') as created_key
        from raw.events
        where order_key < v_bound and retracted_at is null and (p_market_no is null or market_no = p_market_no)
        group by market_no
    )
{%- endmacro %}

{% macro write_tallies_as_of() -%}
{%- if not is_trial() -%}
select folds.write_as_of('{{ this.identifier }}', $as_of_text${{ tallies(
    'marts.ballots_as_of(p_slot, p_market_no)', openings_as_of(), 'ops.settings', 'raw.events', 'raw.feed',
    'ops.gap_transactions', 'raw.transactions'
) }}$as_of_text$)
{%- endif -%}
{%- endmacro %}
