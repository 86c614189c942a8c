-- Creates the roles that may connect. It is safe to run again. A step that the connection may not take becomes a
-- warning, and the rest continues. The roles get no passwords here: the operator of the server sets them.

do $$
declare
    function_name text;
    role_name text;
    as_superuser boolean := (select rolsuper from pg_roles where rolname = current_user);
    target text := current_database();
begin
    -- All databases of a server share its roles. The lock prevents a race of two deployments.
    perform pg_advisory_xact_lock(hashtextextended('zmart roles', 0));

    foreach role_name in array array['zmart_owner', 'zmart_ingest', 'zmart_api', 'zmart_keeper', 'analyst', 'zmart_backup'] loop
        begin
            if not exists (select from pg_roles where rolname = role_name) then
                execute format('create role %I login', role_name);
            end if;
        exception when insufficient_privilege then
            raise warning 'role % is missing: create role % login', role_name, role_name;
        end;
    end loop;

    -- A deployment acts as the owner, so that everything belongs to one role, whichever login connected.
    begin
        if not pg_has_role(current_user, 'zmart_owner', 'member') then
            execute format('grant zmart_owner to %I', current_user);
        end if;
    exception when insufficient_privilege or undefined_object then
        raise warning '% may not act as zmart_owner: grant zmart_owner to %', current_user, current_user;
    end;

    -- Each service switches to its own role, so that one DATABASE_URL serves them all.
    foreach role_name in array array['zmart_ingest', 'zmart_api', 'zmart_keeper', 'analyst', 'zmart_backup'] loop
        begin
            if not pg_has_role(current_user, role_name, 'member') then
                execute format('grant %I to %I', role_name, current_user);
            end if;
        exception when insufficient_privilege or undefined_object then
            raise warning '% may not act as %: grant % to %', current_user, role_name, role_name, current_user;
        end;
    end loop;

    -- `zmart dbt` acts as this role: it reads what an analyst reads, and writes to its own schema only. No service needs it.
    begin
        if not exists (select from pg_roles where rolname = 'zmart_dbt') then
            create role zmart_dbt;
        end if;
        if not pg_has_role('zmart_dbt', 'analyst', 'member') then
            grant analyst to zmart_dbt;
        end if;
        if not pg_has_role('zmart_owner', 'zmart_dbt', 'member') then
            grant zmart_dbt to zmart_owner;
        end if;
        execute format('grant connect, temporary on database %I to zmart_dbt', target);
    exception when insufficient_privilege or undefined_object then
        raise warning 'zmart dbt does not work: create role zmart_dbt; grant analyst to zmart_dbt; grant zmart_dbt to zmart_owner';
    end;

    -- `zmart backup` reads everything, the rows of every wallet and Dagster's tables included, and writes nothing. No other
    -- role reads all of that: a dump by the owner would lack the rows that row level security hides from it.
    begin
        if not pg_has_role('zmart_backup', 'pg_read_all_data', 'member') then
            grant pg_read_all_data to zmart_backup;
        end if;
        if not (select rolbypassrls from pg_roles where rolname = 'zmart_backup') then
            alter role zmart_backup bypassrls;
        end if;
        execute format('grant connect on database %I to zmart_backup', target);
    exception when insufficient_privilege or undefined_object then
        raise warning 'zmart backup does not work: grant pg_read_all_data to zmart_backup; alter role zmart_backup bypassrls';
    end;
    begin
        alter role zmart_backup set default_transaction_read_only = on;
        alter role zmart_backup connection limit 5;
    exception when insufficient_privilege or undefined_object then
        raise warning 'zmart_backup may open any number of connections: alter role zmart_backup connection limit 5';
    end;

    begin
        if as_superuser then
            execute format('alter database %I owner to zmart_owner', target);
        end if;
        execute format('grant connect, create, temporary on database %I to zmart_owner', target);
        execute format('grant connect on database %I to zmart_ingest, zmart_api, zmart_keeper, analyst', target);
        -- Ingest compares lists of signatures in a temporary table.
        execute format('grant temporary on database %I to zmart_ingest, analyst', target);
        execute format('revoke temporary on database %I from public', target);
    exception when insufficient_privilege or undefined_object then
        raise warning 'zmart_owner may not create schemas here: grant create on database % to zmart_owner', target;
    end;

    -- A query of an analyst must never block the services: its time is limited, and it is read-only by default.
    begin
        alter role analyst set statement_timeout = '60s';
        alter role analyst set idle_in_transaction_session_timeout = '60s';
        alter role analyst set default_transaction_read_only = on;
        alter role analyst set search_path = marts, public;
        if as_superuser then
            -- Only a superuser may limit temporary files.
            alter role analyst set temp_file_limit = '1GB';
        end if;
    exception when insufficient_privilege or undefined_object then
        raise warning 'analyst runs without time limits: alter role analyst set statement_timeout = ''60s''';
    end;

    -- Every login may call these unless that is revoked: they fill the queue of notifications, write WAL without a table,
    -- take locks that the services wait for, and end other sessions of the same login. Only a superuser may revoke them.
    begin
        alter role analyst connection limit 20;
        if as_superuser then
            for function_name in
                select p.oid::regprocedure::text
                from pg_proc as p
                where
                    p.pronamespace = 'pg_catalog'::regnamespace
                    and (
                        p.proname in (
                            'pg_notify', 'pg_terminate_backend', 'pg_cancel_backend', 'pg_logical_emit_message', 'txid_current',
                            'pg_current_xact_id', 'lo_create', 'lo_creat', 'lo_from_bytea', 'lo_put', 'lowrite', 'lo_truncate',
                            'lo_truncate64', 'lo_unlink'
                        )
                        or p.proname like 'pg\_advisory\_%' or p.proname like 'pg\_try\_advisory\_%'
                    )
            loop
                execute format('revoke execute on function %s from public', function_name);
                execute format('grant execute on function %s to zmart_owner, zmart_ingest, zmart_api, zmart_keeper', function_name);
            end loop;
        elsif has_function_privilege('analyst', 'pg_catalog.pg_notify(text, text)', 'execute') then
            raise warning 'analyst may notify and write WAL by functions: revoke execute on function pg_notify from public';
        end if;
    exception when insufficient_privilege or undefined_object then
        raise warning 'analyst may open any number of connections: alter role analyst connection limit 20';
    end;

    -- ops.end_listening_analysts ends sessions of every login that is a member of analyst, and has to see their states. The owner
    -- is a member of analyst, but not of those logins.
    begin
        if not (pg_has_role('zmart_owner', 'pg_signal_backend', 'usage') and pg_has_role('zmart_owner', 'pg_read_all_stats', 'usage')) then
            grant pg_signal_backend, pg_read_all_stats to zmart_owner;
        end if;
    exception when insufficient_privilege or undefined_object then
        raise warning 'other logins of analyst may hold the queue of notifications: grant pg_signal_backend, pg_read_all_stats to zmart_owner';
    end;
end
$$;
