-- How the log becomes marts. The functions folds.apply(from, to) and folds.apply_<model>(from, to) are generated from
-- the dbt models (sql_macros/fold.sql); this file holds what does not depend on any model: calling them safely.

create schema folds;
comment on schema folds is 'Generated functions that merge a window of the log into the folded marts.';
create schema marts;
comment on schema marts is 'What readers read: markets, trades, positions, ballots and what follows from them.';

create function folds.is_environmental(p_sqlstate text) returns boolean
language sql immutable parallel safe
return left(p_sqlstate, 2) in ('40', '53', '55', '57', '58') or p_sqlstate = 'XX000';
comment on function folds.is_environmental is
'Whether an error is the server''s condition (deadlock, memory, disk, lock, shutdown) rather than a model''s fault.';

create function folds.first_failing(p_model text, p_from bigint, p_to bigint) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    v_good bigint := p_from;
    v_bad bigint := p_to;
    v_middle bigint;
begin
    while v_bad - v_good > 1 loop
        v_middle := (v_good + v_bad) / 2;
        begin
            execute format('select folds.%I($1, $2)', 'apply_' || p_model) using p_from, v_middle;
            raise exception 'undo the probe' using errcode = 'ZM000';
        exception
            when sqlstate 'ZM000' then v_good := v_middle;
            when others then v_bad := v_middle;
        end;
    end loop;
    return v_bad;
end
$$;
comment on function folds.first_failing is 'The first seq of a failing window that the model cannot take, by bisection; leaves no trace.';

create function folds.mark_stale(p_model text, p_applied_seq bigint, p_failed_event bigint, p_reason text) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    update ops.models
    set stale_since = clock_timestamp(), applied_seq = p_applied_seq, failed_event = p_failed_event, reason = p_reason
    where name = p_model and stale_since is null;
    insert into raw.feed (seq, kind) values (raw.next_seq(), 'mart_stale');
    perform ops.raise_alert('mart_stale', p_model, 'critical', format(
        'The mart %s stopped at seq %s: event %s failed with "%s". Ingest goes on. Mend the model, then run: zmart rebuild %s',
        p_model, p_applied_seq, p_failed_event, p_reason, p_model));
end
$$;
comment on function folds.mark_stale is 'Take a model out of the live path until a rebuild mends it, and tell everyone.';

-- The log always commits. One model that raises is found, marked and skipped; the others have their window.
create function folds.fold(p_from bigint, p_to bigint) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_model text;
    v_state text;
    v_reason text;
begin
    if to_regprocedure('folds.apply(bigint, bigint)') is null then
        return;
    end if;
    begin
        perform folds.apply(p_from, p_to);
        return;
    exception when others then
        get stacked diagnostics v_state = returned_sqlstate;
        if folds.is_environmental(v_state) then
            raise;
        end if;
    end;
    for v_model in select name from ops.models where stale_since is null order by position loop
        begin
            execute format('select folds.%I($1, $2)', 'apply_' || v_model) using p_from, p_to;
        exception when others then
            get stacked diagnostics v_state = returned_sqlstate, v_reason = message_text;
            if folds.is_environmental(v_state) then
                raise;
            end if;
            perform folds.mark_stale(v_model, p_from, folds.first_failing(v_model, p_from, p_to), v_reason);
        end;
    end loop;
end
$$;
comment on function folds.fold is
'Merge the window (from, to] of the feed into every healthy folded mart, in the caller''s transaction. A model that fails is marked stale, never the log.';

-- Postgres grants EXECUTE to everyone on creation; what follows says who may do what, and nobody else may.
revoke all on all functions in schema raw, app, ops, folds from public;
alter default privileges revoke execute on functions from public;

grant usage on schema raw to zmart_ingest, zmart_keeper, zmart_api, analyst;
grant usage on schema ops to zmart_ingest, zmart_keeper, zmart_api, analyst;
grant usage on schema app to zmart_api;
grant usage on schema marts to zmart_ingest, zmart_keeper, zmart_api, analyst;
grant usage on schema folds to zmart_ingest;

grant select, insert, update on all tables in schema raw to zmart_ingest;
grant delete on raw.wanted to zmart_ingest;
revoke insert, update on raw.identity from zmart_ingest;
grant update (genesis_hash, program_id) on raw.identity to zmart_ingest;
grant select on ops.models, ops.model_status, ops.settings, ops.alerts to zmart_ingest, zmart_api, analyst;
grant select, insert, update on ops.cursors to zmart_ingest;
grant execute on function folds.fold, raw.next_seq, raw.take_writer, raw.market_number, raw.wallet_number to zmart_ingest;
grant execute on function ops.raise_alert to zmart_ingest, zmart_keeper;

grant select on raw.feed, raw.identity, raw.events, raw.transactions, raw.markets_seen, raw.wallets_seen,
raw.coverage to zmart_keeper, zmart_api, analyst;
grant select on raw.dead_letters, raw.wanted to zmart_api, zmart_keeper;
grant select on all tables in schema app to zmart_api;
grant execute on function app.current_wallet, app.current_wallet_no, app.cast_ballot, app.post_comment,
app.redeem_nonce to zmart_api;

grant select on all tables in schema ops to zmart_keeper;
grant insert, update on ops.intents, ops.submissions, ops.snapshots, ops.leases, ops.cursors, ops.alerts to zmart_keeper;

alter default privileges in schema marts grant select on tables to zmart_ingest, zmart_keeper, zmart_api, analyst;
