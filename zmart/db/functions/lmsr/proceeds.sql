create or replace function lmsr.proceeds(q_yes numeric, q_no numeric, b numeric, is_yes boolean, shares numeric) returns numeric
language sql immutable parallel safe
begin atomic
    select case when g.lamports >= 0 then g.lamports end
    from (
        select lmsr.cost(q_yes, q_no, b) - case
            when is_yes then lmsr.cost(q_yes - shares, q_no, b) else lmsr.cost(q_yes, q_no - shares, b)
        end as lamports
    ) as g;
end;
comment on function lmsr.proceeds is
'Returns the gross lamports for selling shares of one side, before fees, from the totals before the sell. Null if the program rejects the input.';

grant execute on function lmsr.proceeds to zmart_ingest, zmart_keeper, zmart_api, analyst;
