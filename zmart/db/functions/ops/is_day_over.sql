-- A day is over for good once its midnight has passed and whoever was writing then is done: posts, edits and deletions
-- are dated while holding raw.writer.
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
comment on function ops.is_day_over is 'Whether nothing more can be dated into a UTC day; waits for who is writing.';

grant execute on function ops.is_day_over to zmart_keeper;
