-- Which entries may be without a chain. Any other entry without one means that the end of the chain was removed.
alter table raw.identity add column unsealed_through bigint;
comment on column raw.identity.unsealed_through is
'The last entry that may be without a chain: history of an earlier release, which `zmart migrate` seals. Null if every entry must have one.';

update raw.identity as i
set unsealed_through = h.seq
from (select max(f.seq) as seq from raw.feed as f) as h
where h.seq > coalesce((select max(c.last_seq) from raw.commits as c), 0);

comment on column log.feed.ref is
'retracted, moved: seq of the event. finalized_through: slot. comment, reaction: number of the comment. ballot, metadata, moderation, profile, market_page: the entry''s own seq. event_group: number of the event. Null for event and mart_stale.';
