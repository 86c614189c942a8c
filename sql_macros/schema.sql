-- Every model lives in the schema its folder names, for everyone alike: readers write marts.markets, never a developer's copy.
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
