-- Every model is in the schema that its folder names, for every user: readers query marts.markets, never a developer's copy.
-- Only a trial has a schema of its own.
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (target.schema if is_trial() else custom_schema_name or target.schema) | trim }}
{%- endmacro %}
