{#
    ordered: for state that does not combine, such as average cost.

    The model's select gives the rows of its keys, unaggregated, with order_key and seq; its config names an aggregate whose
    first argument is the previous state. A table row is the state of a key after its last event.

    A window usually continues the stored states. If one of its events is before a key's last one on chain, that key is
    folded again from its whole history, so the rows are the same in any order of arrival. `seq > last_seq` prevents that a
    key which was just folded again applies the same events twice.
#}

{% macro on_key(left, right, key) -%}
{% for k in key %}{{ left }}.{{ k }} = {{ right }}.{{ k }}{{ ' and ' if not loop.last }}{% endfor %}
{%- endmacro %}

{% materialization ordered, adapter='postgres' %}
    {%- set key = config.require('fold_key') -%}
    {%- set aggregate = config.require('aggregate') -%}
    {%- set arguments = config.require('arguments') -%}
    {%- set columns = fold_columns() -%}
    {%- set folded = columns | rejectattr('generated') | list -%}
    {%- set call -%}
        {{ aggregate }}(before.state, {% for a in arguments %}events.{{ a }}{{ ', ' if not loop.last }}{% endfor %} order by events.order_key, events.seq)
    {%- endset -%}
    {%- set fold_sql -%}
select
    {% for k in key %}events.{{ k }},
    {% endfor -%}
    {{ call | replace('before.state', 'null') }} as state,
    max(events.order_key) as last_key,
    max(events.seq) as last_seq
from (
{{ sql }}
) as events
group by {% for k in key %}events.{{ k }}{{ ', ' if not loop.last }}{% endfor %}
    {%- endset -%}
    {%- set merge_sql -%}
perform folds.refold_{{ this.identifier }}(late.seqs, p_to)
from (
    select array_agg(events.seq) as seqs
    from (
{{ sql }}
    ) as events
    inner join /*target*/ as before on {{ on_key('before', 'events', key) }}
    where events.order_key < before.last_key
) as late
where late.seqs is not null;

merge into /*target*/ as t
using (
    select
        {% for k in key %}events.{{ k }},
        {% endfor -%}
        {{ call }} as state,
        max(events.order_key) as last_key,
        max(events.seq) as last_seq
    from (
{{ sql }}
    ) as events
    left join /*target*/ as before on {{ on_key('before', 'events', key) }}
    where before.last_seq is null or events.seq > before.last_seq
    group by {% for k in key %}events.{{ k }}{{ ', ' if not loop.last }}{% endfor %}
) as s on {{ on_key('t', 's', key) }}
when matched then update set state = s.state, last_key = s.last_key, last_seq = s.last_seq
when not matched then insert ({{ key | join(', ') }}, state, last_key, last_seq)
values ({% for k in key %}s.{{ k }}, {% endfor %}s.state, s.last_key, s.last_seq)
    {%- endset -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- do fold_check(fold_sql, folded, key, none) -%}
    {%- set target_relation = fold_install(
        'ordered', fold_sql, merge_sql, columns, key, config.require('fold_scope'), true) -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
