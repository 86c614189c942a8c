{#
    Fees as the program takes them (protocol.md 2.5), from what its events say (protocol.md 8.6).

    A buy's event carries cost + floor(cost * bps / 10000); that is strictly increasing in cost, so the cost before fees is
    the smallest integer that reaches it. A sell's event carries what is left of the gross; one or two gross amounts leave
    the same, and the market account's change of lamports (net + protocol part) tells which.
#}

{% macro cost_before_fees(paid, bps) -%}
    div({{ paid }} * 10000 + (10000 + {{ bps }}) - 1, 10000 + {{ bps }})
{%- endmacro %}

{% macro largest_gross(net, bps) -%}
    div({{ net }} * 10000, nullif(10000 - {{ bps }}, 0))
{%- endmacro %}

{% macro smallest_gross(net, bps) -%}
    case when {{ net }} > 0 then div(({{ net }} - 1) * 10000, nullif(10000 - {{ bps }}, 0)) + 1 else {{ net }} end
{%- endmacro %}

{# The protocol's part of the fee on an amount: floor(floor(amount * bps / 10000) * protocol_bps / bps). #}
{% macro protocol_part(amount, bps, protocol_bps) -%}
    coalesce(div(div({{ amount }} * {{ bps }}, 10000) * {{ protocol_bps }}, nullif({{ bps }}, 0)), 0)
{%- endmacro %}
