-- The difference of a trade's gross and net is exactly the sum of its three fee parts; returned rows are violations.
select *
from {{ ref('trades') }}
where
    protocol_fee + resolver_fee + lp_fee <> abs(cost - gross)
    or least(protocol_fee, resolver_fee, lp_fee) < 0
