create or replace function lmsr.cost(q_yes numeric, q_no numeric, b numeric) returns numeric
language sql immutable parallel safe
begin atomic
    select
        case
            when
                b >= 100000000000 and lmsr.is_u64(q_yes) and lmsr.is_u64(q_no) and lmsr.is_u64(c.lamports)
                then c.lamports
        end
    from (select div(q_yes * 1000000000, nullif(b, 0)) as u, div(q_no * 1000000000, nullif(b, 0)) as v) as r
    cross join lateral (
        select div(
            b * (greatest(r.u, r.v) + lmsr.ln(
                1000000000 + div(1000000000 * 1000000000::numeric, lmsr.exp(abs(r.u - r.v)))
            )),
            1000000000
        ) as lamports
    ) as c;
end;
comment on function lmsr.cost is 'Returns the cost function C in lamports. A trade costs the difference of two values. Null if the program rejects the input.';

grant execute on function lmsr.cost to zmart_ingest, zmart_keeper, zmart_api, analyst;
