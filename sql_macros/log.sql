{#
    Reading the log.

    A fold's select marks where it reads log rows with log_events() or log_ballots(). Both end in a marker that is valid SQL by
    itself, `(true /*fold*/)`, and means "all history". The fold materialization makes three texts of one select by
    putting another condition there: everything up to a seq (a rebuild), one window of seqs (the live path), or the whole
    history of a few keys (a refold). The marker stands directly on the table, so that each condition reaches an index.
#}

{# `signatures` adds the text of the signature, which costs a lookup for each event: for kinds that occur rarely. #}
{% macro log_events(names, signatures=false) -%}
    (
        select
            seq, order_key, transaction_no, ordinal, name, market_no, wallet_no, clock, payload, context
            {%- if signatures %},
            (
                select transactions.signature from {{ source('raw', 'transactions') }} as transactions
                where transactions.transaction_no = logged.transaction_no
            ) as signature
            {%- endif %}
        from {{ source('raw', 'events') }} as logged
        where retracted_at is null and (true /*fold*/)
        and name in ({% for name in names %}'{{ name }}'{{ ', ' if not loop.last }}{% endfor %})
    )
{%- endmacro %}

{# API ballots are rows of the log too: their seq is a place in the same feed. They have no place on chain, only an instant;
   the second marker passes that on to reads as of a slot. #}
{% macro log_ballots() -%}
    (select * from {{ source('app', 'ballots') }} where (true /*fold*/) and (true /*unplaced*/))
{%- endmacro %}

{# The chain's clock as a timestamp. Clamped, so that no i64 can overflow it. #}
{% macro instant(clock) -%}
    to_timestamp(case when {{ clock }} is not null then least(greatest({{ clock }}, 0), 253402300799) end)
{%- endmacro %}

{# The newest, or oldest, of a bigint within a group, without a sort: arrays compare element by element. #}
{% macro last_by(value, key, condition) -%}
    (max(array[{{ key }}, {{ value }}]) filter (where {{ condition }}))[2]
{%- endmacro %}

{# The same for text, for which the array comparison does not work; for events that occur once or twice in a market's life. #}
{% macro last_text_by(value, key, condition) -%}
    (array_agg({{ value }} order by {{ key }} desc, {{ value }} desc) filter (where {{ condition }}))[1]
{%- endmacro %}

{% macro first_by(value, key, condition='true') -%}
    (min(array[{{ key }}, {{ value }}]) filter (where {{ condition }}))[2]
{%- endmacro %}

{# The newest value so far that is not null, over a window `so_far` in the order of the chain. #}
{% macro latest_of(value, type) -%}
    ((max(array[order_key, {{ value }}]) filter (where {{ value }} is not null) over so_far)[2])::{{ type }}
{%- endmacro %}
