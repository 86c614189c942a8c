-- Which source delivered a transaction first.
alter table raw.transactions add column first_source text collate "C";
comment on column raw.transactions.first_source is
'The source that delivered it first, for example grpc. Null for rows of earlier releases.';

create or replace view log.transactions as
select
    t.signature,
    t.slot,
    t.index_in_block,
    t.order_settled as is_order_final,
    t.block_time,
    t.err,
    t.fee_lamports,
    t.first_seen_at,
    t.retracted_at,
    t.sightings,
    t.first_source
from raw.transactions as t;
comment on column log.transactions.sightings is
'How often each source has delivered the transaction, for example {"webhook": 2}.';
comment on column log.transactions.first_source is
'The source that delivered it first, for example grpc. Null for rows of earlier releases.';
