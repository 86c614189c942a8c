-- The queue of moderators is read in pages by an index, not by grouping every report.
-- Reads the newest reasons of a reported comment.
create index flags_newest on app.flags (comment_no, flagged_at);

create table app.open_reports (
    comment_no bigint primary key references app.comments,
    flags int not null check (flags > 0),
    since timestamptz not null
);
comment on table app.open_reports is 'Holds one row per comment with reports that no decision of a moderator has followed yet.';
comment on column app.open_reports.flags is 'Wallets that reported it since the last decision.';
comment on column app.open_reports.since is 'The first of these reports.';
-- Reads a page of the queue of moderators.
create index open_reports_most on app.open_reports (flags, comment_no);
alter table app.flags no force row level security;
alter table app.moderation no force row level security;
insert into app.open_reports (comment_no, flags, since)
select
    f.comment_no,
    count(*),
    min(f.flagged_at)
from app.flags as f
where
    not exists (
        select from app.moderation as d where d.comment_no = f.comment_no and d.decided_at >= f.flagged_at
    )
group by f.comment_no;
alter table app.flags force row level security;
alter table app.moderation force row level security;
alter table app.open_reports enable row level security;
alter table app.open_reports force row level security;
grant select on app.open_reports to zmart_api;
