-- What proves the log complete and final, and what is still open about it.

alter table raw.wanted add column slot bigint;
alter table raw.wanted add column last_error text;
comment on column raw.wanted.slot is 'Where the chain lists it, so that the oldest is fetched first; null where only a delivery named it.';
comment on column raw.wanted.last_error is 'Why the last attempt did not bring it.';
comment on column raw.wanted.reason is
'walk, backfill: listed by the chain. differs: two deliveries disagree and the finalized chain decides. retry: a person asked. Anything else: who named it.';

create table raw.suspects (
    signature text collate "C" primary key,
    slot bigint not null,
    missed_at_height bigint not null,
    missed_at timestamptz not null default clock_timestamp()
);
comment on table raw.suspects is
'Transactions of ours that the finalized history does not list. They are retracted only when that is proven, and end here when it lists them after all.';
comment on column raw.suspects.missed_at_height is
'Finalized block height when it was first missed; 150 blocks later its blockhash is dead for certain.';

create index transactions_unsettled on raw.transactions (slot) where not order_settled and retracted_at is null;

create function raw.finalized_through() returns bigint
language sql stable parallel safe
begin atomic
    select max(f.ref) from raw.feed as f where f.kind = 'finalized_through';
end;
comment on function raw.finalized_through is 'The slot up to which the finalized chain and this log hold the same; null before the first proof.';

create function raw.verified_through() returns bigint
language sql stable parallel safe
begin atomic
    select max(c.to_slot) from raw.coverage as c where c.source = 'walk';
end;
comment on function raw.verified_through is
'The slot up to which nothing the confirmed chain lists is missing here; null before the first walk.';

create function ops.resolve_alert(p_kind text, p_subject text) returns void
language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
    update ops.alerts set resolved_at = clock_timestamp()
    where kind = p_kind and subject = p_subject and resolved_at is null;
end;
comment on function ops.resolve_alert is 'Close the open alert of this kind and subject, if there is one.';

grant select, insert, update, delete on raw.suspects to zmart_ingest;
grant select on raw.suspects to zmart_keeper, zmart_api, analyst;
grant select on raw.wanted, raw.dead_letters to analyst;
grant select on ops.cursors to zmart_api, analyst;
grant execute on function raw.finalized_through, raw.verified_through to zmart_ingest, zmart_keeper, zmart_api, analyst;
grant execute on function ops.resolve_alert to zmart_ingest, zmart_keeper;
