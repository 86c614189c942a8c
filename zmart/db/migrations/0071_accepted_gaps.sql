-- Gaps that an operator accepted: finality passes them, their transactions stay unproven (docs/ingest.md, Accepted gaps).
create table ops.accepted_gaps (
    gap_no bigint generated always as identity primary key,
    from_slot bigint not null,
    to_slot bigint not null,
    audit_no bigint not null references ops.audit,
    closed_at timestamptz,
    constraint accepted_gaps_check check (from_slot <= to_slot)
);
comment on table ops.accepted_gaps is
'Ranges of slots that no node proves. An operator accepted each, so that finality passes it; the row of ops.audit has who, when and why.';
comment on column ops.accepted_gaps.closed_at is
'When the last of its transactions was proven, fetched, replaced or retracted. Null while it is open.';
grant select on ops.accepted_gaps to zmart_ingest, zmart_keeper, zmart_api, analyst;

create table ops.gap_transactions (
    gap_no bigint not null references ops.accepted_gaps,
    signature text collate "C" not null,
    slot bigint not null,
    kind text collate "C" not null check (kind in ('unlisted', 'unfetched')),
    market_nos int [],
    outcome text collate "C" check (outcome in ('listed', 'fetched', 'replaced', 'retracted')),
    closed_at timestamptz,
    primary key (gap_no, signature),
    constraint gap_transactions_check check ((outcome is null) = (closed_at is null))
);
comment on table ops.gap_transactions is
'The transactions for which a gap was accepted. While a row is open, finality passes this transaction alone, and its events are not final.';
comment on column ops.gap_transactions.kind is
'unlisted: the log holds it and no node lists it. unfetched: a node lists it as successful and no node serves it.';
comment on column ops.gap_transactions.market_nos is
'unfetched: the markets whose accounts it names, by the nodes'' lists. Null if unknown; then any market with an event up to its slot may be one.';
comment on column ops.gap_transactions.outcome is
'How it was closed: a node lists it, it was fetched or delivered, the chain has another version of it, or it is proven absent.';
-- Finds the open transactions, and lets a transaction be in one open gap only.
create unique index gap_transactions_open on ops.gap_transactions (signature) where closed_at is null;
grant select on ops.gap_transactions to zmart_ingest, zmart_keeper, zmart_api, analyst;
