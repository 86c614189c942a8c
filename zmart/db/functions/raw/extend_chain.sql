create or replace function raw.extend_chain(p_first bigint, p_last bigint, p_leaves bytea) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_last bigint := 0;
    v_value bytea := decode(repeat('00', 32), 'hex');
begin
    select c.last_seq, c.value into v_last, v_value from raw.commits as c order by c.last_seq desc limit 1;
    if not found then
        v_last := 0;
        v_value := decode(repeat('00', 32), 'hex');
    end if;
    if v_last <> p_first - 1 then
        -- History before this entry is not sealed yet, or it was sealed meanwhile: `seal_history` (zmart/run/audit) does
        -- it in steps.
        return false;
    end if;
    insert into raw.commits (first_seq, last_seq, value) values (p_first, p_last, sha256(v_value || p_leaves));
    return true;
end
$$;
comment on function raw.extend_chain is
'Chain the leaves of entries that directly follow the last sealed entry; false, and nothing done, where they do not. Call it holding raw.writer.';

grant execute on function raw.extend_chain to zmart_ingest;
