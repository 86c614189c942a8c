-- A new bucket, which is the usual case, costs one statement.
create or replace function app.lease_allowance(
    p_bucket text, p_limit int, p_wanted int, p_window_seconds int,
    out granted int, out remaining int, out resets_in double precision
)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_began timestamptz;
    v_left int := p_limit;
begin
    -- Grants a quarter of the rest: few calls at first, and at the end no process holds much that others could use.
    granted := case when v_left < p_wanted then 0 else greatest(p_wanted, v_left / 4) end;
    remaining := v_left - granted;
    resets_in := p_window_seconds;
    insert into app.allowances (bucket, began, used) values (p_bucket, v_now, granted) on conflict do nothing;
    if found then
        if random() < 0.01 then
            delete from app.allowances where bucket in (
                select bucket from app.allowances
                where began < v_now - interval '1 hour' limit 1000 for update skip locked);
        end if;
        return;
    end if;
    select began, p_limit - used into v_began, v_left from app.allowances where bucket = p_bucket for update;
    if v_began is null or v_began <= v_now - make_interval(secs => p_window_seconds) then
        v_began := v_now;
        v_left := p_limit;
    end if;
    granted := case when v_left < p_wanted then 0 else greatest(p_wanted, v_left / 4) end;
    remaining := v_left - granted;
    resets_in := extract(epoch from v_began - v_now) + p_window_seconds;
    update app.allowances set began = v_began, used = p_limit - remaining where bucket = p_bucket;
end
$$;
comment on function app.lease_allowance is
'Takes a part of a bucket''s allowance: at least p_wanted, or nothing if less is left. A window begins with its first call.';

grant execute on function app.lease_allowance to zmart_api;
