{#
    scheduled: a table with its own as_of.

    For ranks and sums over everything, which may be some minutes old: leaderboards, histories. dbt compiles the select
    and installs it; from then on `folds.refresh(<name>)` needs no dbt. It computes the rows beside the live ones and merges
    the difference in place, so that a polling reader sees the old rows or the new: never an error, never an empty table.
    ops.scheduled_models has the seq of the log that the rows reflect.

    Config: `key`, the columns that identify a row; `indexes`, as for a fold.
#}

{# Names of all models that one is computed from, through views and staging models. #}
{% macro models_read(node, found) -%}
    {%- for id in node.depends_on.nodes if id in graph.nodes -%}
        {%- set upstream = graph.nodes[id] -%}
        {%- if upstream.name not in found -%}
            {%- do found.append(upstream.name) -%}
            {%- do models_read(upstream, found) -%}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}

{% materialization scheduled, adapter='postgres' %}
    {%- set key = config.require('key') -%}
    {%- set columns = fold_columns() -%}
    {%- set reads = [] -%}
    {%- do models_read(model, reads) -%}
    {%- set create -%}
        {%- for column in columns -%}
            {{ column.name }} {{ column.type }}{{ ' collate "C"' if column.type == 'text' }}{{ ' not null' if column.not_null }}{{ ', ' if not loop.last }}
        {%- endfor -%}
    {%- endset -%}
    {%- set after = ['alter table /*target*/ add primary key (' ~ key | join(', ') ~ ')',
                     'alter table /*target*/ set (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02)'] -%}
    {%- for index in config.get('indexes', []) -%}
        {%- do after.append(create_index(index)) -%}
    {%- endfor -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- do keeps_contract(sql, columns) -%}
    {%- set install -%}
        select folds.install_scheduled(
            jsonb_populate_record(null::ops.scheduled_models, jsonb_build_object(
                'name', '{{ this.identifier }}', 'definition_hash', '{{ local_md5(tojson([create | string, after])) }}',
                'select_sql', $select_text${{ sql }}$select_text$, 'key_columns', {{ text_array(key) }},
                'columns', {{ text_array(columns | map(attribute='name')) }}, 'reads', {{ text_array(reads | sort) }}
            )),
            $create_text${{ create }}$create_text$,
            array[{% for text in after %}$after_text${{ text }}$after_text${{ ', ' if not loop.last }}{% endfor %}]
        )
    {%- endset -%}
    {%- set outcome = run_query(install).columns[0].values()[0] -%}
    {%- call noop_statement('main', outcome) -%}{{ sql }}{%- endcall -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- do apply_grants(target_relation, config.get('grants'), should_revoke=False) -%}
    {%- do persist_docs(target_relation, model) -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
