create or replace function ops.exported_through() returns bigint
language sql stable
begin atomic
    select coalesce(max(covered.last_seq), 0)
    from (
        select
            s.last_seq,
            -- Nothing is missing before this segment, at the same location.
            bool_and(s.first_seq = s.expected_seq) over (partition by s.location order by s.first_seq) as is_connected
        from (
            select
                e.location,
                e.first_seq,
                e.last_seq,
                1 + coalesce(lag(e.last_seq) over (partition by e.location order by e.first_seq), 0) as expected_seq
            from ops.exports as e
            inner join raw.identity as i on e.epoch = i.epoch
            where e.dataset = 'log' and e.damaged_at is null
        ) as s
    ) as covered
    where covered.is_connected;
end;
comment on function ops.exported_through is
'The seq up to which every entry of this epoch is in exported and verified files of one location; 0 without any.';

grant execute on function ops.exported_through to zmart_ingest, zmart_keeper, zmart_api, analyst;
