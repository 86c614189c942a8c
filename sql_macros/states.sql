{# States of a market in the program's order (protocol.md 1.6); an array is indexed from 1, the enum from 0. #}
{% macro state_names() -%}
    array['PROPOSED', 'APPROVED', 'ACTIVE', 'RESOLVING', 'DISPUTED', 'FINALIZED', 'CANCELLED']
{%- endmacro %}

{# The state an event leaves its market in, as the enum's number, or null if it changes none (protocol.md 3.1).
   A dispute that aggregate_dispute_votes upholds goes back to RESOLVING, one it rejects ends FINALIZED (1.4.15). #}
{% macro state_code_after(name, payload) -%}
    case {{ name }}
        when 'MarketCreated' then 0
        when 'ProposalApproved' then 1
        when 'MarketActivated' then 2
        when 'MarketResolved' then 3
        when 'DisputeInitiated' then 4
        when 'DisputeAggregated' then case when ({{ payload }} ->> 'dispute_succeeded')::boolean then 3 else 5 end
        when 'MarketFinalized' then 5
        when 'MarketCancelled' then 6
    end
{%- endmacro %}

{% macro state_after(name, payload) -%}
    ({{ state_names() }})[{{ state_code_after(name, payload) }} + 1]
{%- endmacro %}

{# Lamports that make a market account rent exempt: 6,960 for each of its 488 bytes and 128 of overhead (protocol.md 1.5). #}
{% macro market_rent_lamports() -%}
    4287360
{%- endmacro %}
