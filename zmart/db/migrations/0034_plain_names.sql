-- Renames tables, columns, policies and stored values to standard terms, in place and in one transaction.
--
-- It upgrades a database at 0027, 0028, 0029, 0030 or 0033: steps of 0028 to 0033 that a database lacks are taken here.
-- Functions are not defined here: the files of zmart/db/functions are applied after it, in the same transaction, and the
-- functions of the folded models are generated again. zmart/db/schema.sql is the result; a test compares the two.

-- Steps of 0028 to 0033.
alter table raw.wanted add column if not exists failing_since timestamptz;
alter table raw.wanted add column if not exists last_error_kind text collate "C";
alter table ops.models add column if not exists behind_since timestamptz;
alter table ops.models add column if not exists attempts int;
alter table ops.models add column if not exists data_failures int;
alter table ops.models add column if not exists next_attempt_at timestamptz;
alter table ops.models drop constraint models_check;
alter table ops.models add constraint models_check check (stale_since is null or applied_seq is not null);
alter table ops.alerts add column if not exists refusals int not null default 0;
alter table ops.alerts add column if not exists refused_at timestamptz;
alter table ops.alerts add column if not exists refusal text;
create or replace view ops.model_status as
select
    m.name,
    m.kind,
    m.stale_since is not null as is_stale,
    coalesce(m.applied_seq, h.seq) as applied_seq,
    h.seq - coalesce(m.applied_seq, h.seq) as behind,
    m.stale_since,
    m.failed_event,
    m.reason,
    m.built_at,
    m.applied_seq is not null and m.stale_since is null as is_behind,
    m.behind_since,
    case when m.stale_since is null then m.next_attempt_at end as next_attempt_at
from ops.models as m
cross join (select coalesce(max(seq), 0) as seq from raw.feed) as h;

-- Functions whose name or parameters change. Their files define them again.
drop trigger name_the_teller on app.market_metadata;
drop function if exists folds.touched, folds.retold, folds.repriced, folds.standing_on, folds.windowed, folds.install_refreshed,
folds.columns_of, folds.indexes_of, folds.index_changes, folds.is_out_of_time, raw.want, raw.colliding, raw.separate, raw.keep_statistics,
app.own_number, app.forget_expired, app.standing_comment, app.say, app.name_the_teller, ops.take_lease, ops.keep_lease,
ops.give_lease, ops.days_discussed, ops.day_is_over;

-- Functions of the folded models. Postgres does not let a parameter be renamed in place.
do $$
declare
    v_function regprocedure;
begin
    for v_function in
        select p.oid from pg_proc as p
        where
            p.pronamespace = 'folds'::regnamespace
            and (p.proname = 'apply' or p.proname in (
                select f.prefix || m.name from ops.models as m cross join (values ('apply_'), ('refold_')) as f (prefix)
            ))
    loop
        execute format('drop function %s', v_function);
    end loop;
end
$$;

-- Policies are created again by zmart/db/policies.sql.
do $$
declare
    p pg_policies;
begin
    for p in select * from pg_policies where schemaname = 'app' loop
        execute format('drop policy %I on app.%I', p.policyname, p.tablename);
    end loop;
end
$$;

-- Tables, with the constraints and indexes that carry their name.
alter table raw.wanted rename to pending_signatures;
alter table raw.pending_signatures rename column wanted_at to requested_at;
alter table raw.suspects rename to retraction_candidates;
alter table ops.refreshed rename to scheduled_models;
alter table ops.uncompared rename to uncompared_accounts;
alter view ops.answered rename to model_position;
do $$
declare
    v_before text;
    v_after text;
    v_table regclass;
    v_constraint name;
begin
    for v_before, v_after, v_table in
        values
            ('wanted', 'pending_signatures', 'raw.pending_signatures'::regclass),
            ('suspects', 'retraction_candidates', 'raw.retraction_candidates'),
            ('refreshed', 'scheduled_models', 'ops.scheduled_models'),
            ('uncompared', 'uncompared_accounts', 'ops.uncompared_accounts')
    loop
        for v_constraint in
            select conname from pg_constraint where conrelid = v_table and starts_with(conname, v_before || '_')
        loop
            -- Postgres 18 names `not null` constraints, after the column, too.
            execute format('alter table %s rename constraint %I to %I', v_table, v_constraint,
                v_after || replace(substr(v_constraint, length(v_before) + 1), '_wanted_at_', '_requested_at_'));
        end loop;
    end loop;
end
$$;

-- Values, and the texts of models that write them. Models are compiled and folded again when they are deployed.
update ops.models
set
    fold_sql = replace(replace(fold_sql, '''awaited''', '''provisional'''), '''guess''', '''estimated'''),
    merge_sql = replace(replace(merge_sql, '''awaited''', '''provisional'''), '''guess''', '''estimated'''),
    staged_sql = replace(replace(staged_sql, '''awaited''', '''provisional'''), '''guess''', '''estimated''');
do $$
begin
    if exists (
        select from pg_attribute
        where attrelid = to_regclass('marts.trades') and attname = 'gross_from' and not attisdropped
    ) then
        update marts.trades
        set gross_from = case gross_from when 'awaited' then 'provisional' else 'estimated' end
        where gross_from in ('awaited', 'guess');
    end if;
end
$$;

-- Sentences of tables and columns, in plain words.
comment on schema raw is 'The append-only log. Everything else can be made again from it.';
comment on schema ops is 'How the system itself is doing.';
comment on schema app is 'What people wrote here rather than on chain.';
comment on schema folds is 'Generated functions that merge a window of the log into the folded marts.';
comment on schema marts is 'What readers read: markets, trades, positions, ballots and what follows from them.';
comment on schema lmsr is
'The program''s market maker, bit for bit: exp, ln, cost, price_yes, proceeds (protocol.md 2).';
comment on schema dagster is 'Dagster''s own storage; its tables belong to Dagster.';
comment on table raw.writer is
'Always empty; its lock is the right to append to the log.';
comment on table raw.identity is
'Which log this is. A restored or reset database is another epoch, and positions of the old one mean nothing in it.';
comment on column raw.identity.feed_oid is 'The table raw.feed itself: a restored one has another oid.';
comment on table raw.feed is
'One row per fact a reader can learn, gap-free, in commit order.';
comment on column raw.feed.ref is
'event: null (the row of raw.events has the same seq). retracted, moved: seq of the event. finalized_through: slot. Others: key of the app row.';
comment on table raw.markets_seen is
'One row per market account ever named. market_id is null while only WinningsClaimed, which carries the account alone, has named it (protocol.md 1.7).';
comment on table raw.wallets_seen is
'One row per wallet ever named by an event or by a person.';
comment on table raw.transactions is
'One row per signature: what was delivered, byte for byte.';
comment on column raw.transactions.index_in_block is 'Null while unknown; the order of its events is then provisional.';
comment on column raw.transactions.body is
'The delivered JSON by itself, zlib-compressed, where it is in no bundle. bytea, because a log line may hold U+0000, which jsonb cannot. May age out.';
comment on column raw.transactions.digest is
'SHA-256 of (slot, err, log lines): two deliveries are duplicates when these agree.';
comment on column raw.transactions.sightings is 'How often each source has delivered it, for example {"webhook": 2}.';
comment on column raw.transactions.bundle_no is
'The row of raw.bundles that holds the delivered JSON; null where body does. No foreign key, because bundles may age out.';
comment on column raw.transactions.bundle_start is 'Where it begins, in bytes of the decompressed bundle.';
comment on column raw.transactions.bundle_length is 'How many bytes it has.';
comment on table raw.events is
'One row per event of the program, keyed by (transaction, ordinal); seq is its place in the feed.';
comment on column raw.events.order_key is 'Place on chain: slot << 24 | index in block << 9 | ordinal.';
comment on column raw.events.clock is 'The event''s own timestamp: Unix seconds of the chain''s Clock.';
comment on column raw.events.payload is
'The event''s other fields as the program wrote them; 64-bit integers as strings.';
comment on column raw.events.context is
'What the event omits, read from the same transaction: instruction arguments and the market account''s lamports. Null where absent.';
comment on table raw.dead_letters is
'What could not be used, kept with its bytes and the reason until someone retries it.';
comment on table raw.accounts is
'Accounts as an RPC showed them at a slot. For reconciliation alone; folds never read it.';
comment on table raw.coverage is
'Slot ranges proven complete, per source, with the count and digest of their successful signatures.';
comment on table raw.pending_signatures is
'Signatures we were told of without their logs; they are still to be fetched.';
comment on column raw.pending_signatures.reason is
'walk, backfill: listed by the chain. differs: two deliveries disagree and the finalized chain decides. retry: a person asked. Anything else: who named it.';
comment on column raw.pending_signatures.slot is
'Where the chain lists it, so that the oldest is fetched first; null where only a delivery named it.';
comment on column raw.pending_signatures.last_error is 'Why the last attempt did not bring it.';
comment on column raw.pending_signatures.failing_since is
'When the first attempt brought nothing; null before an attempt.';
comment on column raw.pending_signatures.last_error_kind is
'The kind of the last error (a class of zmart.chain.rpc_errors); Unknown where no node knows the signature.';
comment on table raw.retraction_candidates is
'Transactions of ours that the finalized history does not list. They are retracted only when that is proven, and end here when it lists them after all.';
comment on column raw.retraction_candidates.missed_at_height is
'Finalized block height when it was first missed; 150 blocks later its blockhash is dead for certain.';
comment on table raw.bundles is
'What was delivered, byte for byte: transactions of one batch behind each other, zlib-compressed. The only rows of the log that may age out.';
comment on table ops.models is
'One row per folded model. One that follows the log has no applied_seq. One that is behind stopped at applied_seq, for reason, and is retried. A stale one (stale_since) waits for a rebuild.';
comment on column ops.models.listens_to is 'Event names and feed kinds that change it; a window without any skips it.';
comment on column ops.models.fold_sql is
'The model''s compiled select; the marker in it stands for the window of the log.';
comment on column ops.models.merge_sql is 'How a window''s partial result is merged into /*target*/.';
comment on column ops.models.scope_columns is 'Columns, in log and mart alike, that say which rows an event touches.';
comment on column ops.models.indexes is
'The indexes that the model asks for, as Postgres writes them after USING; null before it was installed with them.';
comment on column ops.models.staged_as is
'The step it shares with other models: a type in folds for its rows and a function of that name for those of a window; null where it shares none.';
comment on column ops.models.staged_sql is
'The select of that step, word for word as it stands in fold_sql and merge_sql.';
comment on column ops.models.behind_since is 'When it stopped following the log; null while it follows.';
comment on column ops.models.attempts is
'Attempts that failed, less those that made progress: the pause grows with it, and the window of an attempt shrinks.';
comment on column ops.models.data_failures is
'Attempts that failed for another reason than the environment; the third makes the model stale.';
comment on column ops.models.next_attempt_at is 'When it is tried again.';
comment on view ops.model_status is
'Each folded model and the seq it answers for.';
comment on table ops.intents is
'One row per action a keeper decided on; open until our own log shows its event, finalized.';
comment on column ops.intents.plan is 'What was known and proven when it was decided.';
comment on column ops.intents.state is
'planned: decided, nothing signed that could land. sent: signed bytes are stored and may land. landed: a node says so; our log does not yet, or not finally. done: our log holds the event, finalized. refused: given up for a reason. quarantined: three attempts failed, a person looks. reopened: it was done and the chain took it back.';
comment on column ops.intents.attempts is 'Submissions that ended without success.';
comment on column ops.intents.outcome is 'How it ended, or what last kept it from ending: kind, words, signature.';
comment on table ops.submissions is
'Signed bytes, stored before they are sent.';
comment on column ops.submissions.ending is
'landed: succeeded on chain. failed: on chain, finalized, and refused there. expired: can never land. Null: may still land.';
comment on column ops.submissions.fee_lamports is 'What landing costs its payer, priority included.';
comment on column ops.submissions.slot is 'Where a node said that it landed.';
comment on table ops.snapshots is
'One row per market and UTC day whose discussion was anchored.';
comment on column ops.snapshots.previous_cid is
'The CIDv0 of the market''s anchored day before, as the document names it.';
comment on column ops.snapshots.comments_count is 'Comments in the document: written, edited or deleted that day.';
comment on column ops.snapshots.published_at is 'When a node held it under this name and it was read back.';
comment on column ops.snapshots.pinned_at is 'When the second service said it keeps it; null without one, or not yet.';
comment on table ops.alerts is
'What a person should look at, deduplicated by (kind, subject) while open.';
comment on column ops.alerts.acknowledged_at is 'When a person said that they look after it; it stays open, and quiet.';
comment on column ops.alerts.acknowledged_by is 'Who, as they call themselves.';
comment on column ops.alerts.posted_at is 'When it was last posted to ALERT_WEBHOOK_URL; null while it was not.';
comment on column ops.alerts.resolution_posted_at is 'When it was posted that it is over.';
comment on column ops.alerts.refusals is 'How often in a row ALERT_WEBHOOK_URL did not accept it; 0 once it does.';
comment on column ops.alerts.refused_at is 'When that happened last.';
comment on column ops.alerts.refusal is 'The last answer, or the error where there was none.';
comment on table ops.cursors is
'Where a walker or sensor stood.';
comment on table ops.leases is
'Who may act alone, and the epoch stamped into what they do.';
comment on table ops.settings is
'Settings that views need; written from the environment at deploy.';
comment on table ops.scheduled_models is
'One row per scheduled mart: what it computes, and the seq that its rows answer for.';
comment on column ops.scheduled_models.select_sql is 'The model''s compiled select, with all columns of the mart.';
comment on column ops.scheduled_models.reads is
'Marts it is computed from, through views and staging models; one that is behind holds it back.';
comment on column ops.scheduled_models.applied_seq is 'The rows say what the log said up to this seq.';
comment on column ops.scheduled_models.seconds is 'How long the last refresh took.';
comment on column ops.scheduled_models.changed_rows is 'Rows that the last refresh wrote.';
comment on column ops.scheduled_models.indexes is
'The indexes that the model asks for, as Postgres writes them after USING.';
comment on view ops.model_position is
'Marts that may be behind the log, and the seq they answer for: stale folds, and every scheduled mart.';
comment on table ops.uncompared_accounts is
'Markets that the newest check of the program''s accounts did not compare; kept by the check accounts_equal_folds.';
comment on column ops.uncompared_accounts.account is
'Address of the market''s account, or config for the configuration.';
comment on column ops.uncompared_accounts.since is
'When the first of the checks ran that missed it one after the other.';
comment on column ops.uncompared_accounts.reason is 'Why the newest did.';
comment on table app.wallets is
'One row per wallet that said something about itself.';
comment on table app.market_metadata is
'One row per market and wallet that told its question; that of its creator counts. Events carry none (protocol.md 1.4.2).';
comment on table app.ballots is
'One row per ballot cast through the API. vote: proposal like, dispute agree.';
comment on table app.comments is
'One row per post under a market; a reply names its parent.';
comment on column app.comments.root_no is 'The post that began the thread; null for that post itself.';
comment on table app.comment_edits is
'What a comment said before each edit.';
comment on table app.reactions is
'One row per wallet and comment it has an opinion on.';
comment on table app.flags is
'One row per wallet and comment it reported.';
comment on table app.sessions is
'One row per refresh token, hashed; used once, then replaced.';
comment on column app.sessions.family_id is 'The signing in that this token descends from.';
comment on table app.redeemed_nonces is
'Nonces that were used. The primary key makes the second use fail.';
comment on table app.allowances is
'One row per address or wallet that asked lately: what it used since its window began.';
