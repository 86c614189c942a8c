{# Candles of a larger width from those of one minute: they combine by the same rules. #}
{% macro larger_candles(width) -%}
with minutes as (
    select
        *,
        date_bin('{{ width }}', bucket_at, timestamptz '2000-01-01 00:00+00') as wider_at
    from {{ ref('candles_1m') }}
)

select
    market_no,
    wider_at as bucket_at,
    max(market_id) as market_id,
    {{ first_by('open', 'open_key') }} as open,
    max(high) as high,
    min(low) as low,
    {{ last_by('close', 'close_key', 'true') }} as close,
    sum(volume) as volume,
    sum(buy_volume) as buy_volume,
    sum(shares_volume) as shares_volume,
    sum(trades_count)::bigint as trades_count,
    max(last_seq) as last_seq
from minutes
group by market_no, wider_at
{%- endmacro %}
