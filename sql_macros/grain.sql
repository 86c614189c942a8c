{# The grain that a description states, as a test of a model: its columns name one row. For keys of several columns; dbt's own
   `unique` does for one. #}
{% test grain(model, columns) %}
    select
        {{ columns | join(', ') }},
        count(*) as times
    from {{ model }}
    group by {{ columns | join(', ') }}
    having count(*) > 1
{% endtest %}
