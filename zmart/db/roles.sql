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
end
$$;
