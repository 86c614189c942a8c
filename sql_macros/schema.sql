-- Every model is in the schema that its folder names, for every user: readers query marts.markets, never a developer's copy.
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
