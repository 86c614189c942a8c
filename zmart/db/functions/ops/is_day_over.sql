-- A day is over once its midnight has passed and the transaction that was writing then has ended: posts, edits and
-- deletions get their time while raw.writer is held.
create or replace function ops.is_day_over(p_day date) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if (clock_timestamp() at time zone 'UTC')::date <= p_day then
        return false;
    end if;
    perform raw.take_writer();
    return true;
end
$$;
comment on function ops.is_day_over is 'Returns whether a UTC day can get no more comments, edits or deletions. Waits for the current writer.';

grant execute on function ops.is_day_over to zmart_keeper;
