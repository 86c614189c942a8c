create or replace function lmsr.ln(x numeric) returns numeric
language sql immutable parallel safe
begin atomic
    select
        case
            when x = 1000000000 then 0
            when x = 2000000000 then 693147180
            when x > 1000000000 and x < 2000000000 then 2 * (s.y + div(c.y3, 3) + div(div(c.y3 * q.y2, 1000000000), 5))
        end
    from (select div((x - 1000000000) * 1000000000, nullif(x + 1000000000, 0)) as y) as s
    cross join lateral (select div(s.y * s.y, 1000000000) as y2) as q
    cross join lateral (select div(q.y2 * s.y, 1000000000) as y3) as c;
end;
comment on function lmsr.ln is 'Returns the program''s natural logarithm from 1.0 to 2.0. The cost function needs no other range. Null elsewhere.';

grant execute on function lmsr.ln to zmart_ingest, zmart_keeper, zmart_api, analyst;
