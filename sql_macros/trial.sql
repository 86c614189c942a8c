{#
    A trial: the models in the schema of another target than `live`, for a role that may only read everything else.

    A folded or scheduled model is then a plain table, filled by its select from the log up to the seq ZMART_TRIAL_SEQ,
    without it from the whole log. Nothing is installed, so nothing follows the log, and no mart changes.
#}

{% macro is_trial() -%}
    {{ return(target.name != 'live') }}
{%- endmacro %}

{# Create the table of a model in the place of an earlier trial. #}
{% macro create_trial(create, after, columns, select_sql) -%}
    {%- set existing = load_cached_relation(this) -%}
    {%- if existing is not none -%}
        {%- do adapter.drop_relation(existing) -%}
    {%- endif -%}
    {%- set names = columns | map(attribute='name') | join(', ') -%}
    {%- set seq = env_var('ZMART_TRIAL_SEQ', '') -%}
    {%- if seq -%}
        {%- set select_sql = select_sql | replace('(true /*fold*/)', '(seq <= ' ~ seq | as_number ~ ')') -%}
    {%- endif -%}
    {%- call statement('main') -%}
        create table {{ this }} ({{ create }});
        {% for text in after -%}
        {{ text | replace('/*target*/', this | string) }};
        {% endfor -%}
        insert into {{ this }} ({{ names }}) select {{ names }} from (
            {{ select_sql }}
        ) as trial;
    {%- endcall -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- do persist_docs(target_relation, model) -%}
    {{ return(target_relation) }}
{%- endmacro %}
