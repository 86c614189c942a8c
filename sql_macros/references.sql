{#
    Names without the database. The folds' functions contain these texts, and a clone or a restored copy has another name.
#}
{% macro source(source_name, table_name) -%}
    {%- set relation = builtins.source(source_name, table_name) -%}
    {{ return(relation if relation.is_cte else relation.include(database=false)) }}
{%- endmacro %}

{% macro ref() -%}
    {%- set relation = builtins.ref(*varargs, **kwargs) -%}
    {{ return(relation if relation.is_cte else relation.include(database=false)) }}
{%- endmacro %}
