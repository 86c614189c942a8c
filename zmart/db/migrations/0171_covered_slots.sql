-- The slots that each source has proven, as ranges: raw.coverage gets a row for each proof, and gaps were found by reading all.
create table raw.covered_slots (
    source text collate "C" primary key,
    slots int8multirange not null,
    successful_transactions numeric not null,
    proven_at timestamptz not null
);
comment on table raw.covered_slots is
'Holds one row per source with all slots of its rows in raw.coverage, so that gaps are found without reading those. A trigger writes it.';
grant select on raw.covered_slots to zmart_ingest, zmart_keeper, zmart_api, analyst;

insert into raw.covered_slots (source, slots, successful_transactions, proven_at)
select
    c.source,
    range_agg(int8range(c.from_slot, c.to_slot, '[]')),
    sum(c.successful_transactions),
    max(c.proven_at)
from raw.coverage as c
group by c.source;
