-- Comments of schemas, tables and columns in plain sentences, as zmart/db/schema.sql has them.
comment on schema raw is 'The append-only log. The marts can be rebuilt from it.';
comment on schema ops is 'State of the system itself: models, intents, alerts, leases, settings.';
comment on schema app is
'Data that users store through the API and not on chain: profiles, metadata, ballots, comments, sessions.';
comment on schema folds is
'Functions that merge a window of the log into the folded marts, and the functions that generate them.';
comment on schema marts is
'The tables and views that clients read: markets, trades, positions, ballots and the marts computed from them.';
comment on schema lmsr is
'The program''s market maker with bit-identical results: exp, ln, cost, price_yes, proceeds (protocol.md 2).';
comment on schema dagster is 'Dagster''s own storage. Its tables belong to Dagster.';
comment on table raw.writer is 'Is always empty. Its lock is the right to append to the log.';
comment on table raw.identity is
'Identifies this log. A restored or reset database gets another epoch, in which positions of the old one are invalid.';
comment on column raw.identity.feed_oid is 'The oid of the table raw.feed. A restored table has another oid.';
comment on table raw.feed is 'Holds one row per fact that a reader can learn, without gaps, in commit order.';
comment on column raw.feed.ref is
'event: null (the row of raw.events has the same seq). retracted, moved: seq of the event. finalized_through: slot. comment, reaction: comment_no. ballot, metadata: the row''s own seq. mart_stale: null.';
comment on table raw.markets_seen is
'Holds one row per market account that an event has named. market_id is null while only WinningsClaimed, which carries only the account, has named it (protocol.md 1.7).';
comment on table raw.wallets_seen is 'Holds one row per wallet that an event has named or that has used the API.';
comment on table raw.transactions is
'Holds one row per signature, with the transaction as it was delivered, byte for byte.';
comment on column raw.transactions.index_in_block is
'Null while unknown. The order of the transaction''s events is then provisional.';
comment on column raw.transactions.body is
'The delivered JSON, zlib-compressed, if it is in no bundle. The type is bytea, because a log line may contain U+0000, which jsonb cannot store. Old bodies may be deleted.';
comment on column raw.transactions.digest is
'SHA-256 of (slot, err, log lines). Two deliveries are duplicates if these are equal.';
comment on column raw.transactions.sightings is
'How often each source has delivered the transaction, for example {"webhook": 2}.';
comment on column raw.transactions.bundle_no is
'The row of raw.bundles that contains the delivered JSON. Null if body contains it. It is no foreign key, because old bundles may be deleted.';
comment on column raw.transactions.bundle_start is 'Offset of the JSON in the decompressed bundle, in bytes.';
comment on column raw.transactions.bundle_length is 'Length of the JSON in bytes.';
comment on table raw.events is
'Holds one row per event of the program, keyed by (transaction, ordinal). seq is its position in the feed.';
comment on column raw.events.payload is
'The event''s other fields as the program wrote them. 64-bit integers are strings.';
comment on column raw.events.context is
'Data that the event omits, read from the same transaction: instruction arguments and the lamports of the market account. Null if absent.';
comment on table raw.dead_letters is
'Holds items that could not be used, with their bytes and the reason, until an operator retries them.';
comment on table raw.accounts is
'Holds accounts as an RPC node returned them at a slot. Only the reconciliation reads them, the folds never do.';
comment on table raw.coverage is
'Holds slot ranges that are proven complete, per source, with the count and digest of their successful signatures.';
comment on table raw.pending_signatures is
'Holds signatures that were reported without logs. Their transactions are still to be fetched.';
comment on column raw.pending_signatures.reason is
'walk, backfill: the chain lists it. differs: two deliveries disagree, and the finalized chain decides. retry: an operator requested it. Any other text names the source that reported it.';
comment on column raw.pending_signatures.slot is
'The slot in which the chain lists it. The oldest is fetched first. Null if only a delivery named it.';
comment on column raw.pending_signatures.last_error is 'Why the last attempt did not fetch it.';
comment on column raw.pending_signatures.failing_since is
'When the first attempt failed to fetch it. Null before that.';
comment on column raw.pending_signatures.last_error_kind is
'The kind of the last error (a class of zmart.chain.rpc_errors). Unknown if no node knows the signature.';
comment on table raw.retraction_candidates is
'Holds transactions of the log that the finalized history does not list. One is retracted only when that is proven. Its row is deleted if the history lists it after all.';
comment on column raw.retraction_candidates.missed_at_height is
'Finalized block height at which it was first missing. 150 blocks later its blockhash has expired for certain.';
comment on table raw.bundles is
'Holds delivered JSON byte for byte: the transactions of one batch, concatenated and zlib-compressed. No other rows of the log may be deleted by age.';
comment on table ops.models is
'Holds one row per folded model. A model that follows the log has no applied_seq. A model that is behind stopped at applied_seq, for reason, and is retried. A stale model (stale_since) waits for a rebuild.';
comment on column ops.models.listens_to is
'Event names and feed kinds that change the model. A window without any of them skips it.';
comment on column ops.models.fold_sql is
'The model''s compiled select. A marker in it is replaced by the window of the log.';
comment on column ops.models.merge_sql is 'The statement that merges the partial result of a window into /*target*/.';
comment on column ops.models.scope_columns is
'Columns of both log and mart that identify the rows which an event affects.';
comment on column ops.models.indexes is
'The indexes that the model requires, as Postgres writes them after USING. Null until the model is installed with them.';
comment on column ops.models.staged_as is
'The step that the model shares with others: a type in folds for its rows, and a function of the same name that returns the rows of a window. Null if it shares none.';
comment on column ops.models.staged_sql is 'The select of that step, exactly as fold_sql and merge_sql contain it.';
comment on column ops.models.behind_since is 'When the model stopped following the log. Null while it follows.';
comment on column ops.models.attempts is
'Attempts that failed, less those that made progress. A greater number makes the pause longer and the window of an attempt smaller.';
comment on column ops.models.data_failures is
'Attempts that failed for a reason other than the environment. The third makes the model stale.';
comment on column ops.models.next_attempt_at is 'When the model is tried again.';
comment on view ops.model_status is 'Lists each folded model and the seq up to which it reflects the log.';
comment on table ops.intents is
'Holds one row per action that a keeper decided on. It is open until the log holds its event, finalized.';
comment on column ops.intents.plan is 'The facts that were known and proven when the keeper decided.';
comment on column ops.intents.state is
'planned: decided, and nothing is signed that could land. sent: signed bytes are stored and may land. landed: a node reports it, but the log does not hold it yet, or not as final. done: the log holds the event, finalized. refused: given up for a reason. quarantined: three attempts failed, and an operator must look. reopened: it was done, and the chain retracted it.';
comment on column ops.intents.outcome is
'How it ended, or the last reason why it has not ended: kind, words, signature.';
comment on table ops.submissions is 'Holds signed bytes, which are stored before they are sent.';
comment on column ops.submissions.ending is
'landed: succeeded on chain. failed: on chain and finalized, with an error. expired: can never land. Null: may still land.';
comment on column ops.submissions.fee_lamports is 'The fee that landing costs the payer, including the priority fee.';
comment on column ops.submissions.slot is 'The slot in which it landed, as a node reported it.';
comment on table ops.snapshots is 'Holds one row per market and UTC day whose discussion was anchored.';
comment on column ops.snapshots.previous_cid is
'The CIDv0 of the market''s previous anchored day, as the document contains it.';
comment on column ops.snapshots.comments_count is
'Number of comments in the document: written, edited or deleted on that day.';
comment on column ops.snapshots.published_at is 'When a node stored the document under this CID and it was read back.';
comment on column ops.snapshots.pinned_at is
'When the second service reported that it pinned the document. Null without such a service, or before that.';
comment on table ops.alerts is
'Holds conditions that an operator should look at. While open, there is one row per (kind, subject).';
comment on column ops.alerts.acknowledged_at is
'When an operator acknowledged it. It stays open, and is not posted again.';
comment on column ops.alerts.acknowledged_by is 'The name that the operator gave.';
comment on column ops.alerts.posted_at is 'When it was last posted to ALERT_WEBHOOK_URL. Null if it never was.';
comment on column ops.alerts.resolution_posted_at is 'When its resolution was posted.';
comment on column ops.alerts.refusals is
'Number of consecutive posts that ALERT_WEBHOOK_URL did not accept. 0 after one is accepted.';
comment on column ops.alerts.refused_at is 'When the last of these posts failed.';
comment on column ops.alerts.refusal is 'The last response, or the error if there was none.';
comment on table ops.cursors is 'Holds the place where a walker or sensor continues.';
comment on table ops.leases is
'Holds the process that has the exclusive right to act, and the epoch that is stored with each of its actions.';
comment on table ops.settings is 'Holds settings that views need. Each deployment writes them from the environment.';
comment on table ops.scheduled_models is
'Holds one row per scheduled mart: the select that computes it, and the seq up to which its rows reflect the log.';
comment on column ops.scheduled_models.reads is
'Marts from which it is computed, through views and staging models. If one of them is behind, so is this mart.';
comment on column ops.scheduled_models.applied_seq is 'The rows reflect the log up to this seq.';
comment on column ops.scheduled_models.seconds is 'Duration of the last refresh.';
comment on column ops.scheduled_models.indexes is
'The indexes that the model requires, as Postgres writes them after USING.';
comment on view ops.model_position is
'Lists marts that may be behind the log, with the seq that they reflect: folds that are behind or stale, and every scheduled mart.';
comment on table ops.uncompared_accounts is
'Holds markets that the newest check of the program''s accounts did not compare. The check accounts_equal_folds writes it.';
comment on column ops.uncompared_accounts.since is
'Time of the first of the consecutive checks that did not compare it.';
comment on column ops.uncompared_accounts.reason is 'Why the newest check did not compare it.';
comment on table app.wallets is 'Holds one row per wallet that has a profile.';
comment on table app.market_metadata is
'Holds one row per market and wallet that set its question. Only the row of the market''s creator counts. Events carry no question (protocol.md 1.4.2).';
comment on table app.ballots is
'Holds one row per ballot cast through the API. vote is true for like on a proposal, and for agree on a dispute.';
comment on table app.comments is 'Holds one row per comment on a market. A reply names its parent.';
comment on column app.comments.root_no is 'The comment that began the thread. Null for that comment itself.';
comment on table app.comment_edits is 'Holds the text of a comment before each edit.';
comment on table app.reactions is 'Holds one row per wallet and comment on which it voted.';
comment on table app.flags is 'Holds one row per wallet and comment that it reported.';
comment on table app.sessions is 'Holds one row per refresh token, as a hash. A token is used once and then replaced.';
comment on column app.sessions.family_id is 'The sign-in from which this token descends.';
comment on table app.redeemed_nonces is 'Holds nonces that were used. The primary key makes a second use fail.';
comment on table app.allowances is
'Holds one row per address or wallet with recent requests: the allowance that it has used since its window began.';
