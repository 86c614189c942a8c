{#
    Periods end at the newest event of the log, by the chain's clock, rather than at the time of the query: the same log
    gives the same rows at any time.
#}

{% macro newest_instant() -%}
    (
        select {{ instant('clock') }} from {{ source('raw', 'events') }}
        where retracted_at is null
        order by order_key desc limit 1
    )
{%- endmacro %}

{% macro periods() -%}
    (
        select
            lengths.period,
            coalesce(newest.at - lengths.length, '-infinity'::timestamptz) as from_at,
            newest.at as to_at
        from (
            values ('24h', interval '24 hours'), ('7d', interval '168 hours'), ('30d', interval '720 hours'), ('all', null)
        ) as lengths (period, length)
        cross join (select {{ newest_instant() }} as at) as newest
    )
{%- endmacro %}
