-- Who may connect. Safe to run again; each step that the connection may not take becomes a warning and the rest goes on.
-- The roles get no passwords here: who runs the server hands them out.

do $$
declare
    wanted text;
    as_superuser boolean := (select rolsuper from pg_roles where rolname = current_user);
    target text := current_database();
begin
    -- Roles are shared by all databases of a server; two deployments at once must not race.
    perform pg_advisory_xact_lock(hashtextextended('zmart roles', 0));

    foreach wanted in array array['zmart_owner', 'zmart_ingest', 'zmart_api', 'zmart_keeper', 'analyst'] loop
        begin
            if not exists (select from pg_roles where rolname = wanted) then
                execute format('create role %I login', wanted);
            end if;
        exception when insufficient_privilege then
            raise warning 'role % is missing: create role % login', wanted, wanted;
        end;
    end loop;

    -- Whoever deploys acts as the owner, so that everything belongs to one role whoever connected.
    begin
        if not pg_has_role(current_user, 'zmart_owner', 'member') then
            execute format('grant zmart_owner to %I', current_user);
        end if;
    exception when insufficient_privilege or undefined_object then
        raise warning '% may not act as zmart_owner: grant zmart_owner to %', current_user, current_user;
    end;

    -- Stepping down to a service's role is how one DATABASE_URL serves them all.
    foreach wanted in array array['zmart_ingest', 'zmart_api', 'zmart_keeper', 'analyst'] loop
        begin
            if not pg_has_role(current_user, wanted, 'member') then
                execute format('grant %I to %I', wanted, current_user);
            end if;
        exception when insufficient_privilege or undefined_object then
            raise warning '% may not act as %: grant % to %', current_user, wanted, wanted, current_user;
        end;
    end loop;

    begin
        if as_superuser then
            execute format('alter database %I owner to zmart_owner', target);
        end if;
        execute format('grant connect, create, temporary on database %I to zmart_owner', target);
        execute format('grant connect on database %I to zmart_ingest, zmart_api, zmart_keeper, analyst', target);
        -- The writer's inbox is a temporary table.
        execute format('grant temporary on database %I to zmart_ingest, analyst', target);
        execute format('revoke temporary on database %I from public', target);
    exception when insufficient_privilege or undefined_object then
        raise warning 'zmart_owner may not create schemas here: grant create on database % to zmart_owner', target;
    end;

    -- An analyst's query must never hold up the services: bounded in time, and reading only unless asked otherwise.
    begin
        alter role analyst set statement_timeout = '60s';
        alter role analyst set idle_in_transaction_session_timeout = '60s';
        alter role analyst set default_transaction_read_only = on;
        alter role analyst set search_path = marts, public;
        if as_superuser then
            -- Only a superuser may bound temporary files.
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
            for wanted in
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
                execute format('revoke execute on function %s from public', wanted);
                execute format('grant execute on function %s to zmart_owner, zmart_ingest, zmart_api, zmart_keeper', wanted);
            end loop;
        elsif has_function_privilege('analyst', 'pg_catalog.pg_notify(text, text)', 'execute') then
            raise warning 'analyst may notify and write WAL by functions: revoke execute on function pg_notify from public';
        end if;
    exception when insufficient_privilege or undefined_object then
        raise warning 'analyst may open any number of connections: alter role analyst connection limit 20';
    end;
end
$$;
