{#
    Fees as the program takes them (protocol.md 2.5), computed from its events (protocol.md 8.6).

    A buy's event carries cost + floor(cost * bps / 10000); that is strictly increasing in cost, so the cost before fees is
    the smallest integer that reaches it. A sell's event carries the net amount; one or two gross amounts result in the same
    net amount. The market account's change of lamports (net + protocol part), the market's b or its totals decide.
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

{# Whether two values of the cost function with this b can have this difference. A cost is floor(b * a / 1e9) with a whole a, so a
   difference is floor(b * k / 1e9) or one more; where b is whole SOL, exactly a multiple of b / 1e9 (protocol.md 2.2). #}
{% macro is_difference_of_costs(amount, b) -%}
    case
        when mod({{ b }}, 1000000000) = 0 then mod({{ amount }} * 1000000000, {{ b }}) = 0
        else
            {{ amount }} - div({{ b }} * div({{ amount }} * 1000000000 + {{ b }} - 1, {{ b }}), 1000000000) in (0, 1)
            or {{ amount }} - div({{ b }} * div({{ amount }} * 1000000000, {{ b }}), 1000000000) in (0, 1)
    end
{%- endmacro %}

{# The number of earlier trades of a market that are read to resolve one sell. #}
{% macro most_earlier_trades() -%}
    5000
{%- endmacro %}

{# A fence between steps. Without it the planner repeats the expressions of one step wherever the next one refers to them, and so
   on: after five steps each trade costs a thousand operations instead of thirty. #}
{% macro computed_once() -%}
    offset 0
{%- endmacro %}
