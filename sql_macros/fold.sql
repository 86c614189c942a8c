{#
    fold: one select, three uses.

    A fold model is an ordinary `select key, aggregates from {{ log_events([...]) }} group by key`. Its config defines how
    two partial results of the same key combine, which is all that is needed to keep the table live: the aggregate of a
    window of the log, merged into the table, equals the aggregate of everything. The order and the limits of the windows
    cannot matter, because each rule commutes.

        sum  min  max  or   as in SQL; null means that the window has no value
        any                 all values that are not null are equal
        last <key column>   the value at the greatest key (a column of the model, combined by max)
        first <key column>  the value at the smallest key (a column combined by min)

    Columns that follow from others of the same row (`meta: {generated: <expression>}`) are generated columns, which
    Postgres computes.

    The work is done by folds.install (zmart/db/functions/folds): it builds the table beside the live one or in place, writes
    folds.apply_<model> and folds.refold_<model>, and makes them live in one transaction. This file only builds texts.
#}

{% macro fold_combine(column, rule) -%}
    {%- set t, s = 't.' ~ column, 's.' ~ column -%}
    {%- set words = rule.split(' ') -%}
    {%- if rule == 'sum' -%}coalesce({{ t }} + {{ s }}, {{ t }}, {{ s }})
    {%- elif rule == 'min' -%}least({{ t }}, {{ s }})
    {%- elif rule == 'max' -%}greatest({{ t }}, {{ s }})
    {%- elif rule == 'or' -%}coalesce({{ t }} or {{ s }}, {{ t }}, {{ s }})
    {%- elif rule == 'any' -%}coalesce({{ t }}, {{ s }})
    {%- elif words[0] == 'last' and words | length == 2 -%}
        {%- set tk, sk = 't.' ~ words[1], 's.' ~ words[1] -%}
        case
        when {{ sk }} is null or {{ tk }} > {{ sk }} then {{ t }}
        when {{ tk }} = {{ sk }} then greatest({{ t }}, {{ s }}) else {{ s }}
    end
    {%- elif words[0] == 'first' and words | length == 2 -%}
        {%- set tk, sk = 't.' ~ words[1], 's.' ~ words[1] -%}
        case
        when {{ sk }} is null or {{ tk }} < {{ sk }} then {{ t }}
        when {{ tk }} = {{ sk }} then least({{ t }}, {{ s }}) else {{ s }}
    end
    {%- else -%}
        {{ exceptions.raise_compiler_error("Column " ~ column ~ ": unknown rule '" ~ rule ~ "'. Use sum, min, max, or, any, last <key>, first <key>.") }}
    {%- endif -%}
{%- endmacro %}

{# The model's columns in the order of its .yml: [{name, type, not_null, generated}]. #}
{% macro fold_columns() -%}
    {%- set columns = [] -%}
    {%- for column in model.columns.values() -%}
        {%- do columns.append({
            'name': column.name,
            'type': column.data_type,
            'not_null': column.constraints | selectattr('type', 'equalto', 'not_null') | list | length > 0,
            'generated': column.meta.get('generated'),
        }) -%}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro %}

{% macro fold_merge(select_sql, columns, key, combine) -%}
    {%- set names = columns | map(attribute='name') | list -%}
    {%- set select_sql = select_sql | trim -%}
    {%- if not combine -%}
-- A row for each row of the log: nothing is combined.
insert into /*target*/ ({{ names | join(', ') }})
select {{ names | join(', ') }} from (
{{ select_sql }}
) as s
    {%- else -%}
-- One row per {{ key | join(', ') }}. The rule of each column is behind it: the result of combining two partial results of one row.
merge into /*target*/ as t
using (
{{ select_sql }}
) as s on {% for k in key %}t.{{ k }} = s.{{ k }}{{ ' and ' if not loop.last }}{% endfor %}
when matched then update set
    {% for name in names if name not in key -%}
    {{ name }} = {{ fold_combine(name, combine[name]) }} /* {{ combine[name] }} */{{ ',\n    ' if not loop.last }}
    {%- endfor %}
when not matched then insert (
    {{ names | join(',\n    ') }}
) values (
    s.{{ names | join(',\n    s.') }}
)
    {%- endif -%}
{%- endmacro %}

{# Names and types of the select must be those of the contract; an error here changes nothing. #}
{% macro keeps_contract(select_sql, columns) -%}
    {%- set promised = [] -%}
    {%- for column in columns -%}
        {%- do promised.append('null::' ~ column.type ~ ' as ' ~ column.name) -%}
    {%- endfor -%}
    {%- set found = adapter.get_column_schema_from_query(get_empty_subquery_sql(select_sql)) -%}
    {%- set wanted = adapter.get_column_schema_from_query('select ' ~ promised | join(', ') ~ ' where false') -%}
    {%- set found_text = found | map(attribute='name') | list, found | map(attribute='dtype') | list -%}
    {%- set wanted_text = wanted | map(attribute='name') | list, wanted | map(attribute='dtype') | list -%}
    {%- if found_text != wanted_text -%}
        {{ exceptions.raise_compiler_error(
            "The select does not keep the contract.\n  promised: " ~ wanted_text ~ "\n  selected: " ~ found_text) }}
    {%- endif -%}
{%- endmacro %}

{# Check that a fold also marks where it reads the log and defines how each column combines. #}
{% macro fold_check(select_sql, columns, key, combine) -%}
    {%- if '(true /*fold*/)' not in select_sql -%}
        {{ exceptions.raise_compiler_error("This fold reads no log rows: use log_events([...]) or log_ballots().") }}
    {%- endif -%}
    {%- for column in columns if combine and column.name not in key and column.name not in combine -%}
        {{ exceptions.raise_compiler_error("Column " ~ column.name ~ " has no combine rule.") }}
    {%- endfor -%}
    {%- do keeps_contract(select_sql, columns) -%}
{%- endmacro %}

{% macro text_array(values) -%}
array[{% for value in values %}'{{ value }}'{{ ', ' if not loop.last }}{% endfor %}]::text []
{%- endmacro %}

{# An index is a text of columns, or {columns, where}. #}
{% macro create_index(index) -%}
create index on /*target*/ ({{ index.columns if index is mapping else index }}){{ ' where ' ~ index.where if index is mapping }}
{%- endmacro %}

{# The step that the model shares with others: an ephemeral model that reads the log, its name and its select as dbt wrote it in
   front of ours. folds.apply computes it once for all models that share it; its name contains the digest of its text. #}
{% macro shared_step() -%}
    {%- set steps = [] -%}
    {%- for cte in model.extra_ctes if '(true /*fold*/)' in cte.sql -%}
        {%- set select_sql = cte.sql[cte.sql.index(' as (') + 5:cte.sql.rindex(')')] -%}
        {%- do steps.append({'name': cte.id.split('.')[-1] ~ '_' ~ local_md5(select_sql)[:8], 'sql': select_sql}) -%}
    {%- endfor -%}
    {%- if steps | length > 1 -%}
        {{ exceptions.raise_compiler_error("A fold shares one step at most; this one reads " ~ steps | map(attribute='name') | join(', ')) }}
    {%- endif -%}
    {{ return(steps[0] if steps else none) }}
{%- endmacro %}

{# The inputs of a trade's fee split: the trade, the rates in force, its market's b, the trades before it. #}
{% macro pricing_events() -%}
    {{ return(['SharesBought', 'SharesSold', 'ConfigUpdated', 'GlobalConfigInitialized', 'MarketCreated']) }}
{%- endmacro %}

{# Pass the texts to folds.install and return what dbt expects of a materialization; its outcome is the node's message. #}
{% macro fold_install(kind, fold_sql, merge_sql, columns, key, scope, merges) -%}
    {%- set listens_to = config.require('listens_to') -%}
    {%- set fees = config.get('fee_sensitive', false) -%}
    {%- set unheard = pricing_events() | reject('in', listens_to) | list -%}
    {%- if fees and unheard -%}
        {{ exceptions.raise_compiler_error(this.identifier ~ " is fee_sensitive and does not listen to " ~ unheard | join(', ')) }}
    {%- endif -%}
    {%- set step = shared_step() -%}
    {%- set folded = columns | rejectattr('generated') | list -%}
    {%- set generated = columns | selectattr('generated') | list -%}
    {%- set create -%}
        {%- for column in folded -%}
            {{ column.name }} {{ column.type }}{{ ' collate "C"' if column.type == 'text' }}{{ ' not null' if column.not_null }}{{ ', ' if not loop.last or generated }}
        {%- endfor -%}
        {%- for column in generated -%}
            {{ column.name }} {{ column.type }}{{ ' collate "C"' if column.type == 'text' }} generated always as ({{ column.generated }}) stored{{ ', ' if not loop.last }}
        {%- endfor -%}
    {%- endset -%}
    {%- set after = ['alter table /*target*/ add primary key (' ~ key | join(', ') ~ ')',
                     'alter table /*target*/ set (fillfactor = ' ~ (80 if merges else 100) ~ ', autovacuum_vacuum_scale_factor = 0.02)'] -%}
    {%- for index in config.get('indexes', []) -%}
        {%- do after.append(create_index(index)) -%}
    {%- endfor -%}
    {# JSON with sorted keys: the parser returns dicts in another order in each process. #}
    {%- set definition = local_md5(tojson([create | string, after, fold_sql | string, merge_sql | string, scope, listens_to, fees, step.name if step else none], sort_keys=true)) -%}
    {%- set install -%}
        select folds.install(
            jsonb_populate_record(null::ops.models, jsonb_build_object(
                'name', '{{ this.identifier }}', 'kind', '{{ kind }}', 'definition_hash', '{{ definition }}',
                'listens_to', {{ text_array(listens_to) }}, 'key_columns', {{ text_array(key) }},
                'scope_columns', {{ text_array(scope) }}, 'columns', {{ text_array(folded | map(attribute='name')) }},
                'fee_sensitive', {{ fees }},
                {% if step %}'staged_as', '{{ step.name }}', 'staged_sql', $step_text${{ step.sql }}$step_text$,{% endif %}
                'fold_sql', $fold_text${{ fold_sql }}$fold_text$, 'merge_sql', $merge_text${{ merge_sql }}$merge_text$
            )),
            $create_text${{ create }}$create_text$,
            array[{% for text in after %}$after_text${{ text }}$after_text${{ ', ' if not loop.last }}{% endfor %}]
        )
    {%- endset -%}
    {%- set outcome = run_query(install).columns[0].values()[0] -%}
    {%- call noop_statement('main', outcome) -%}{{ fold_sql }}{%- endcall -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- do apply_grants(target_relation, config.get('grants'), should_revoke=False) -%}
    {%- do persist_docs(target_relation, model) -%}
    {{ return(target_relation) }}
{%- endmacro %}

{% materialization fold, adapter='postgres' %}
    {%- set key = config.require('fold_key') -%}
    {%- set combine = config.get('combine') -%}
    {%- set columns = fold_columns() -%}
    {%- set folded = columns | rejectattr('generated') | list -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- do fold_check(sql, folded, key, combine) -%}
    {%- set target_relation = fold_install(
        'fold', sql, fold_merge(sql, folded, key, combine), columns, key, config.require('fold_scope'), combine) -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
