-- What a trade paid or gave up beyond its gross is exactly its three fee parts; rows returned break it.
select *
from {{ ref('trades') }}
where
    protocol_fee + resolver_fee + lp_fee <> abs(cost - gross)
    or least(protocol_fee, resolver_fee, lp_fee) < 0
