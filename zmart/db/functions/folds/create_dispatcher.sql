create or replace function folds.create_dispatcher() returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    execute format($f$
create or replace function folds.apply(p_from bigint, p_to bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $body$
-- Written by folds.create_dispatcher from ops.models.
--
-- Merges the window (p_from, p_to] of the log into every mart that follows the log and listens to something in it. Results that
-- several models need are computed once.
declare
    v_news text [];
    v_stale text [];
    v_affected bigint [];
    v_priced bigint [];%s
begin
select array_agg(distinct n) into v_news from (
    select name as n from raw.events where seq > p_from and seq <= p_to
    union all
    select kind from raw.feed where seq > p_from and seq <= p_to and kind <> 'event'
) as news;
select coalesce(array_agg(name), '{}') into v_stale from ops.models where applied_seq is not null;
if v_news && '{retracted,moved}' then
    v_affected := folds.affected_seqs(p_from, p_to, false);
end if;
%s

%s
end
$body$ $f$, (
        select string_agg(distinct format(E'\n    v_%s folds.%I [];', staged_as, staged_as), '')
        from ops.models where staged_as is not null
    ), (
        select string_agg(statement, E'\n' order by statement)
        from (
            select format(
                E'if v_news && %L then\n    v_priced := folds.affected_seqs(p_from, p_to, true);\nend if;',
                array_agg(distinct news.name) || array['retracted', 'moved']
            ) as statement
            from ops.models as m
            cross join lateral unnest(m.listens_to) as news (name)
            where m.fee_sensitive
            having count(*) > 0
            union all
            select format(
                E'if v_news && %L then\n    v_%s := folds.%I(p_from, p_to);\nend if;', array_agg(distinct news.name), m.staged_as, m.staged_as
            )
            from ops.models as m
            cross join lateral unnest(m.listens_to) as news (name)
            where m.staged_as is not null
            group by m.staged_as
        ) as prepared
    ), (
        select string_agg(format(
            E'if v_news && %L and not %L = any(v_stale) then\n    perform folds.%I(p_from, p_to, true, %s%s);\nend if;',
            listens_to || array['retracted', 'moved'], name, 'apply_' || name,
            case when fee_sensitive then 'v_priced' else 'v_affected' end, ', v_' || staged_as
        ), E'\n' order by name)
        from ops.models
    ));
end
$$;
comment on function folds.create_dispatcher is 'Writes folds.apply, with one branch per model of ops.models.';
