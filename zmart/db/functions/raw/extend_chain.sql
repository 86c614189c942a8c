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
    if v_last >= p_first then
        -- It was sealed meanwhile.
        return false;
    end if;
    if v_last < p_first - 1 then
        -- History before this entry is not sealed yet: `seal_history` (zmart/run/audit) does it in steps.
        update raw.identity set unsealed_through = p_last where unsealed_through = p_first - 1;
        if not found then
            perform ops.raise_alert('chain_broken', 'log', 'critical', format(
                'The log has entries up to %s, but its chain ends at %s: somebody removed the end of the chain. '
                'New entries get no chain. See docs/runbook.md, chain_broken.', p_first - 1, v_last
            ));
        end if;
        return false;
    end if;
    insert into raw.commits (first_seq, last_seq, value) values (p_first, p_last, sha256(v_value || p_leaves));
    return true;
end
$$;
comment on function raw.extend_chain is
'Chain the leaves of entries that directly follow the last sealed entry; false where they do not. If a gap before them is not history that waits to be sealed, the alert chain_broken is raised. Call it holding raw.writer.';

grant execute on function raw.extend_chain to zmart_ingest;
