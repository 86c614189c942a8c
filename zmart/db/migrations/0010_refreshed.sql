-- Marts that are refreshed rather than folded: what ranks or sums over everything, and may be some minutes old. Each says up
-- to which seq it answers. A refresh computes the rows beside the live ones and merges the difference in place, so that
-- whoever polls sees the old rows or the new, never an error and never an empty table (dbt's `table` would swap it away).

create table ops.refreshed (
    name text collate "C" primary key,
    definition_hash text collate "C" not null,
    select_sql text not null,
    key_columns text [] not null,
    columns text [] not null,
    reads text [] not null,
    applied_seq bigint not null,
    refreshed_at timestamptz not null default clock_timestamp(),
    seconds numeric(12, 3) not null default 0,
    changed_rows bigint not null default 0
);
comment on table ops.refreshed is 'One row per refreshed mart: what it computes, and the seq that its rows answer for.';
comment on column ops.refreshed.select_sql is 'The model''s compiled select, with all columns of the mart.';
comment on column ops.refreshed.reads is 'Marts it is computed from, through views and staging models; one that is behind holds it back.';
comment on column ops.refreshed.applied_seq is 'The rows say what the log said up to this seq.';
comment on column ops.refreshed.seconds is 'How long the last refresh took.';
comment on column ops.refreshed.changed_rows is 'Rows that the last refresh wrote.';

create view ops.answered as
select
    name,
    applied_seq
from ops.models
where applied_seq is not null
union all
select
    name,
    applied_seq
from ops.refreshed;
comment on view ops.answered is 'Marts that may be behind the log, and the seq they answer for: stale folds, and every refreshed mart.';

create or replace function ops.as_of(p_models text []) returns table (epoch text, seq bigint, slot bigint, commitment text)
language sql stable parallel safe
begin atomic
    select
        i.epoch::text,
        s.seq,
        s.slot,
        case when s.slot <= coalesce(
            (select max(f.ref) from raw.feed as f where f.kind = 'finalized_through'), -1
        ) then 'finalized' else 'confirmed' end
    from raw.identity as i
    cross join lateral (
        select h.seq, (select max(e.order_key) >> 24 from raw.events as e) as slot
        from (select coalesce(max(f.seq), 0) as seq from raw.feed as f) as h
        where not exists (
            select from ops.answered as m where m.name = any(p_models) and m.applied_seq < h.seq
        )
        union all
        select m.applied_seq, (
            select e.order_key >> 24 from raw.events as e where e.seq <= m.applied_seq order by e.seq desc limit 1
        )
        from (
            select min(m.applied_seq) as applied_seq from ops.answered as m where m.name = any(p_models)
        ) as m
        where m.applied_seq < (select coalesce(max(f.seq), 0) from raw.feed as f)
    ) as s;
end;
comment on function ops.as_of is
'What rows of these marts answer for, in the snapshot of the caller: the end of the log, or where the first stale model stopped, or what a refreshed mart was computed from. slot is null before the first event. Inlined into the statement that calls it.';

create function folds.recompute(r ops.refreshed) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp set work_mem = '256MB' set client_min_messages = warning
as $$
declare
    v_answers_for bigint;
begin
    drop table if exists pg_temp.rebuilt;
    -- One statement, so one snapshot: the rows, and the seq they answer for. The row of the seq is there without any rows.
    execute format($f$
        create temporary table rebuilt on commit drop as
        select h.answers_for, m.*
        from (
            select least(
                (select coalesce(max(seq), 0) from raw.feed),
                (select min(a.applied_seq) from ops.answered as a where a.name = any(%L::text []))
            ) as answers_for
        ) as h
        left join (%s) as m on true$f$, r.reads, r.select_sql);
    select min(answers_for) into v_answers_for from pg_temp.rebuilt;
    execute format('delete from pg_temp.rebuilt where %I is null', r.key_columns[1]);
    return v_answers_for;
end
$$;
comment on function folds.recompute is 'Compute a refreshed mart into pg_temp.rebuilt; returns the seq that the rows answer for.';

create function folds.refresh(p_name text) returns bigint
language plpgsql set search_path = pg_catalog, pg_temp set client_min_messages = warning
as $$
declare
    r ops.refreshed;
    v_began timestamptz := clock_timestamp();
    v_answers_for bigint;
    v_changed bigint;
begin
    select * into r from ops.refreshed where name = p_name for update;
    if r is null then
        raise exception 'there is no refreshed mart %', p_name using errcode = 'ZM404';
    end if;
    v_answers_for := folds.recompute(r);
    execute folds.difference_sql(jsonb_populate_record(null::ops.models, jsonb_build_object(
        'name', r.name, 'key_columns', r.key_columns, 'columns', r.columns
    )));
    get diagnostics v_changed = row_count;
    update ops.refreshed
    set
        applied_seq = v_answers_for, refreshed_at = clock_timestamp(), changed_rows = v_changed,
        seconds = extract(epoch from clock_timestamp() - v_began)
    where name = p_name;
    drop table pg_temp.rebuilt;
    return v_changed;
end
$$;
comment on function folds.refresh is
'Compute a refreshed mart again and merge what differs into the live one, in place. Returns the rows written. ZM404 for an unknown mart.';

create function folds.install_refreshed(r ops.refreshed, p_create text, p_after text []) returns text
language plpgsql set search_path = pg_catalog, pg_temp set client_min_messages = warning
as $$
declare
    v_live regclass := to_regclass(format('marts.%I', r.name));
    v_beside text := format('marts.%I', r.name || '__beside');
    v_columns text := (select string_agg(quote_ident(c), ', ') from unnest(r.columns) as c);
    v_known ops.refreshed;
    v_after text;
begin
    lock table ops.refreshed in share row exclusive mode;
    select * into v_known from ops.refreshed where name = r.name;
    execute format('drop table if exists %s', v_beside);
    execute format('create table %s (%s)', v_beside, p_create);
    r.refreshed_at := clock_timestamp();
    r.seconds := 0;
    r.changed_rows := 0;
    if v_live is not null and v_known.name is not null and folds.columns_of(v_live) = folds.columns_of(v_beside::regclass) then
        execute format('drop table %s', v_beside);
        r.applied_seq := v_known.applied_seq;
        delete from ops.refreshed where name = r.name;
        insert into ops.refreshed select r.*;
        return format('REFRESHED in place, %s rows changed', folds.refresh(r.name));
    end if;
    r.applied_seq := folds.recompute(r);
    execute format('insert into %s (%s) select %s from pg_temp.rebuilt', v_beside, v_columns, v_columns);
    get diagnostics r.changed_rows = row_count;
    drop table pg_temp.rebuilt;
    foreach v_after in array p_after loop
        execute replace(v_after, '/*target*/', v_beside);
    end loop;
    execute format('analyze %s', v_beside);
    perform folds.swap(r.name);
    delete from ops.refreshed where name = r.name;
    insert into ops.refreshed select r.*;
    return 'REFRESHED built';
end
$$;
comment on function folds.install_refreshed is
'Make a refreshed mart live: same columns, computed again and merged in place; else built beside and swapped in.';

revoke execute on function folds.recompute, folds.refresh, folds.install_refreshed from public;
grant select on ops.refreshed, ops.answered to zmart_ingest, zmart_keeper, zmart_api, analyst;

-- What people wrote, counted. Who flagged what stays theirs; how often a comment was flagged is everybody's.
create policy count_them_all on app.flags for select to zmart_owner using (true);
comment on policy count_them_all on app.flags is
'The owner''s view marts.discussions shows how often a comment was flagged. Services still read their own wallet''s flags alone.';
create index if not exists comments_parent_no on app.comments (parent_no) where parent_no is not null;
