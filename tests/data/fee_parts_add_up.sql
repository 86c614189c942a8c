-- The difference of a trade's gross and net is exactly the sum of its three fee parts, and each is its rate's share of it, rounded
-- down except the last; returned rows are violations.
select *
from {{ ref('trades') }}
where
    protocol_fee + resolver_fee + lp_fee <> abs(cost - gross)
    or least(protocol_fee, resolver_fee, lp_fee) < 0
    or protocol_fee <> coalesce(div(abs(cost - gross) * protocol_bps, nullif(protocol_bps + resolver_bps + lp_bps, 0)), 0)
    or resolver_fee <> coalesce(div(abs(cost - gross) * resolver_bps, nullif(protocol_bps + resolver_bps + lp_bps, 0)), 0)
