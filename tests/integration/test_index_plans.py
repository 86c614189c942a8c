"""Each index of the database is needed by a statement of ours, whose plan uses it.

An index costs every append, so a new one needs an entry here: the file with the statement, and the part of it that
finds rows by the index. `$1`, `$2` ... stand for the parameters. An index without a statement is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from zmart import testing

ROOT = Path(__file__).parents[2]
FUNCTIONS = "zmart/db/functions"
SYNC, STORE, KEEPERS, SNAPSHOTS = (
    f"{folder}/queries.sql"
    for folder in ("ingest/sync", "ingest/store", "orchestration/keepers", "orchestration/snapshots")
)
ROWS = "api/sql/rows"
#: What merges rows into marts by their keys, whichever mart it is.
FOLD, SCHEDULED = "sql_macros/fold.sql", f"{FUNCTIONS}/folds/difference_sql.sql"


class Use(NamedTuple):
    """A statement that needs an index."""

    #: The file that contains it.
    file: str
    statement: str


#: By the index: its table and columns, as `pg_indexes` describes them.
NEEDED: Mapping[str, Use] = {
    # The log
    "raw.writer (held)": Use("zmart/db/schema.sql", "select from raw.writer where held = $1"),
    "raw.identity (only_row)": Use("zmart/db/schema.sql", "select from raw.identity where only_row = $1"),
    "raw.feed (seq)": Use("zmart/db/feed.sql", "select * from raw.feed where seq > $1 order by seq limit 10"),
    "raw.feed (seq) WHERE (kind = ANY (ARRAY['retracted'::text, 'moved'::text]))": Use(
        f"{FUNCTIONS}/folds/affected_seqs.sql",
        "select ref from raw.feed where seq > $1 and seq <= $2 and kind in ('retracted', 'moved')",
    ),
    "raw.feed (ref) WHERE (kind = 'finalized_through'::text)": Use(
        f"{FUNCTIONS}/raw/finalized_through.sql", "select max(ref) from raw.feed where kind = 'finalized_through'"
    ),
    "raw.commits (last_seq)": Use(
        f"{FUNCTIONS}/raw/mark_of.sql", "select value from raw.commits where last_seq >= $1 order by last_seq limit 1"
    ),
    "raw.markets_seen (market_no)": Use(
        f"{FUNCTIONS}/raw/append_events.sql", "select max(market_no) from raw.markets_seen"
    ),
    "raw.markets_seen (account)": Use(
        f"{FUNCTIONS}/raw/append_events.sql", "select market_no from raw.markets_seen where account = $1"
    ),
    "raw.markets_seen (market_id)": Use(
        f"{FUNCTIONS}/raw/market_number.sql", "select market_no from raw.markets_seen where market_id = $1"
    ),
    "raw.wallets_seen (wallet_no)": Use(
        f"{FUNCTIONS}/raw/append_events.sql", "select max(wallet_no) from raw.wallets_seen"
    ),
    "raw.wallets_seen (wallet)": Use(
        f"{FUNCTIONS}/raw/wallet_number.sql", "select wallet_no from raw.wallets_seen where wallet = $1"
    ),
    "raw.transactions (transaction_no)": Use(
        f"{FUNCTIONS}/raw/append.sql", "select max(transaction_no) from raw.transactions"
    ),
    "raw.transactions USING hash (signature)": Use(
        STORE, "select slot from raw.transactions where signature = any($1)"
    ),
    "raw.transactions (slot)": Use(
        STORE,
        "select signature from raw.transactions where slot between $1 and $2 and err is null and retracted_at is null",
    ),
    "raw.transactions (slot) WHERE ((NOT order_settled) AND (retracted_at IS NULL))": Use(
        SYNC,
        "select slot from raw.transactions where not order_settled and retracted_at is null and slot > $1",
    ),
    "raw.events (seq)": Use("zmart/run/audit/audit.sql", "select * from raw.events where seq = $1"),
    "raw.events (transaction_no, ordinal) WHERE (retracted_at IS NULL)": Use(
        STORE, "select seq from raw.events where transaction_no = $1 and retracted_at is null"
    ),
    "raw.events (market_no, order_key)": Use(
        "sql_models/staging/stg_trades.sql",
        "select payload from raw.events where market_no = $1 and order_key < $2 and retracted_at is null",
    ),
    "raw.events (wallet_no, market_no, order_key)": Use(
        f"{FUNCTIONS}/folds/create_functions.sql",
        "select payload from raw.events where wallet_no = $1 and market_no = $2 order by order_key",
    ),
    "raw.events (order_key)": Use(
        f"{FUNCTIONS}/folds/write_as_of.sql",
        "select clock from raw.events where order_key >= $1 and retracted_at is null order by order_key limit 1",
    ),
    "raw.events (seq) WHERE (market_no IS NULL)": Use(
        f"{FUNCTIONS}/folds/refeed_seqs.sql",
        "select min(order_key) from raw.events where market_no is null and seq > $1 and seq <= $2",
    ),
    "raw.events (market_no) WHERE (name = 'MarketCreated'::text)": Use(
        "sql_models/staging/stg_trades.sql",
        "select payload from raw.events where market_no = $1 and name = 'MarketCreated' and retracted_at is null",
    ),
    "raw.events (wallet_no, order_key) WHERE (wallet_no IS NOT NULL)": Use(
        f"{ROWS}/activity.sql",
        "select seq from raw.events where wallet_no = $1 and retracted_at is null order by order_key desc limit 50",
    ),
    "raw.dead_letters (dead_letter_no)": Use(SYNC, "select * from raw.dead_letters where dead_letter_no = $1"),
    "raw.dead_letters (signature, ordinal, reason_code, digest) NULLS NOT DISTINCT": Use(
        STORE, "update raw.dead_letters set resolved_at = now() where signature = $1 and reason_code = 'differs'"
    ),
    "raw.accounts (account, slot)": Use(
        "orchestration/queries.sql", "select from raw.accounts where account = $1 and slot = $2"
    ),
    "raw.coverage (source, from_slot)": Use(STORE, "select from raw.coverage where source = $1 and from_slot = $2"),
    "raw.covered_slots (source)": Use(
        f"{FUNCTIONS}/raw/add_covered_slots.sql", "select from raw.covered_slots where source = $1"
    ),
    "raw.coverage (source, to_slot)": Use(
        f"{FUNCTIONS}/raw/verified_through.sql", "select max(to_slot) from raw.coverage where source = 'walk'"
    ),
    "raw.pending_signatures (signature)": Use(SYNC, "select from raw.pending_signatures where signature = $1"),
    "raw.retraction_candidates (signature)": Use(
        STORE, "delete from raw.retraction_candidates where signature = any($1)"
    ),
    "raw.bundles (bundle_no)": Use(STORE, "select content from raw.bundles where bundle_no = $1"),
    # The system
    "ops.models (name)": Use(f"{FUNCTIONS}/folds/rebuild_from.sql", "select * from ops.models where name = $1"),
    "ops.scheduled_models (name)": Use(
        f"{FUNCTIONS}/folds/refresh.sql", "select * from ops.scheduled_models where name = $1"
    ),
    "ops.settings (name)": Use("zmart/run/deploy/rebuild.sql", "update ops.settings set value = 1 where name = $1"),
    "ops.cursors (name)": Use(SYNC, "select value from ops.cursors where name = $1"),
    "ops.leases (name)": Use(f"{FUNCTIONS}/ops/require_lease.sql", "select epoch from ops.leases where name = $1"),
    "ops.keeper_rounds (keeper, is_dry)": Use(
        "api/sql/status.sql", "select * from ops.keeper_rounds where keeper = $1 order by ran_at desc limit 1"
    ),
    "ops.audit (audit_no)": Use(KEEPERS, "select * from ops.audit order by audit_no desc limit 10"),
    "ops.intents (intent_no)": Use(KEEPERS, "update ops.intents set state = 'landed' where intent_no = $1"),
    "ops.intents (market_no, action) WHERE (state = ANY (ARRAY['planned'::text, 'sent'::text, 'landed'::text,"
    " 'reopened'::text, 'quarantined'::text]))": Use(
        KEEPERS,
        "select intent_no from ops.intents where market_no = $1 and action = $2"
        " and state in ('planned', 'sent', 'landed', 'reopened', 'quarantined')",
    ),
    "ops.submissions (signature)": Use(KEEPERS, "update ops.submissions set ending = 'expired' where signature = $1"),
    "ops.submissions (intent_no) WHERE (ending IS NULL)": Use(
        KEEPERS, "select * from ops.submissions where ending is null and intent_no = $1"
    ),
    "ops.submissions (stored_at)": Use(
        f"{FUNCTIONS}/ops/store_submission.sql", "select sum(fee_lamports) from ops.submissions where stored_at >= $1"
    ),
    "ops.snapshots (market_no, day)": Use(
        SNAPSHOTS, "select cid_v0 from ops.snapshots where market_no = $1 and day = $2"
    ),
    "ops.snapshots (cid_v0)": Use(SNAPSHOTS, "select from ops.snapshots where cid_v0 = $1 or cid_v1 = $1"),
    "ops.snapshots (cid_v1)": Use(SNAPSHOTS, "select from ops.snapshots where cid_v0 = $1 or cid_v1 = $1"),
    "ops.alerts (alert_no)": Use("zmart/db/alerts.sql", "select * from ops.alerts where alert_no = $1"),
    "ops.alerts (kind, subject) WHERE (resolved_at IS NULL)": Use(
        f"{FUNCTIONS}/ops/raise_alert.sql",
        "select alert_no from ops.alerts where kind = $1 and subject = $2 and resolved_at is null",
    ),
    "ops.accepted_gaps (gap_no)": Use(
        f"{FUNCTIONS}/ops/close_gaps.sql", "update ops.accepted_gaps set closed_at = now() where gap_no = $1"
    ),
    "ops.gap_transactions (gap_no, signature)": Use(
        f"{FUNCTIONS}/ops/close_gaps.sql", "select from ops.gap_transactions where gap_no = $1"
    ),
    "ops.gap_transactions (signature) WHERE (closed_at IS NULL)": Use(
        f"{FUNCTIONS}/raw/append.sql", "select from ops.gap_transactions where signature = $1 and closed_at is null"
    ),
    "ops.uncompared_accounts (account)": Use(
        "orchestration/queries.sql", "delete from ops.uncompared_accounts where account = $1"
    ),
    # What users store
    "app.wallets (wallet_no)": Use("api/sql/wallets.sql", "select * from app.wallets where wallet_no = $1"),
    "app.market_metadata (market_id, wallet_no)": Use(
        f"{ROWS}/markets.sql", "select question from app.market_metadata where market_id = $1"
    ),
    "app.market_metadata USING gin (search)": Use(
        f"{ROWS}/search.sql", "select from app.market_metadata where search @@ websearch_to_tsquery('english', $1)"
    ),
    "app.market_metadata USING gin (question gin_trgm_ops, description gin_trgm_ops)": Use(
        f"{ROWS}/search.sql", "select from app.market_metadata where question ilike $1 or description ilike $1"
    ),
    "app.market_slugs (slug)": Use(f"{ROWS}/markets.sql", "select market_id from app.market_slugs where slug = $1"),
    "app.market_slugs (market_id, wallet_no)": Use(
        f"{FUNCTIONS}/app/assign_market_slug.sql",
        "select count(*) from app.market_slugs where market_id = $1 and wallet_no = $2",
    ),
    "app.images (digest)": Use("api/sql/markets.sql", "select content from app.images where digest = $1"),
    "app.market_pages (market_no)": Use(
        f"{ROWS}/markets.sql", "select image_digest from app.market_pages where market_no = $1"
    ),
    "app.market_pages (event_no, event_place) WHERE (event_no IS NOT NULL)": Use(
        f"{ROWS}/event_groups.sql", "select market_no from app.market_pages where event_no = $1 order by event_place"
    ),
    "app.event_groups (event_no)": Use(
        "api/sql/event_groups.sql", "select * from app.event_groups where event_no < $1 order by event_no desc limit 10"
    ),
    "app.event_groups (wallet_no) WHERE (deleted_at IS NULL)": Use(
        f"{FUNCTIONS}/app/save_event_group.sql",
        "select count(*) from app.event_groups where wallet_no = $1 and deleted_at is null",
    ),
    "app.event_slugs (slug)": Use("api/sql/event_groups.sql", "select event_no from app.event_slugs where slug = $1"),
    "app.event_slugs (event_no)": Use(
        f"{FUNCTIONS}/app/choose_event_slug.sql", "select count(*) from app.event_slugs where event_no = $1"
    ),
    "app.market_pages (image_digest) WHERE (image_digest IS NOT NULL)": Use(
        f"{FUNCTIONS}/app/set_market_image.sql", "select from app.market_pages where image_digest = $1"
    ),
    "app.ballots (seq)": Use("zmart/run/audit/audit.sql", "select message from app.ballots where seq = $1"),
    "app.ballots (market_no, kind, wallet_no)": Use(
        f"{FUNCTIONS}/app/cast_ballot.sql",
        "select from app.ballots where market_no = $1 and kind = $2 and wallet_no = $3",
    ),
    "app.comments (comment_no)": Use("api/sql/discussions.sql", "select * from app.comments where comment_no = $1"),
    "app.comments (seq)": Use("api/live/live.sql", "select * from app.comments where seq = $1"),
    "app.comments (market_no, comment_no DESC)": Use(
        "api/sql/discussions.sql",
        "select comment_no from app.comments where market_no = $1 order by comment_no desc limit 20",
    ),
    "app.comments (market_no, comment_no DESC) WHERE (root_no IS NULL)": Use(
        "api/sql/discussions.sql",
        "select comment_no from app.comments where market_no = $1 and root_no is null order by comment_no desc",
    ),
    "app.comments (root_no, comment_no) WHERE (root_no IS NOT NULL)": Use(
        "api/sql/discussions.sql",
        "select comment_no from app.comments where root_no = $1 and comment_no > $2 order by comment_no limit 20",
    ),
    "app.comments (wallet_no, created_at DESC)": Use(
        "api/sql/wallets.sql", "select count(*) from app.comments where wallet_no = $1 and deleted_at is null"
    ),
    "app.comments (created_at)": Use(
        f"{FUNCTIONS}/ops/discussion_days.sql", "select market_no from app.comments where created_at >= $1"
    ),
    "app.comments (deleted_at) WHERE (deleted_at IS NOT NULL)": Use(
        f"{FUNCTIONS}/ops/discussion_days.sql", "select market_no from app.comments where deleted_at >= $1"
    ),
    "app.comment_edits (comment_no, edited_at)": Use(
        "api/sql/discussions.sql", "select * from app.comment_edits where comment_no = $1 order by edited_at desc"
    ),
    "app.comment_edits (edited_at)": Use(
        f"{FUNCTIONS}/ops/discussion_days.sql", "select comment_no from app.comment_edits where edited_at >= $1"
    ),
    "app.reactions (comment_no, wallet_no)": Use(
        f"{FUNCTIONS}/app/react.sql", "select vote from app.reactions where comment_no = $1 and wallet_no = $2"
    ),
    "app.flags (comment_no, wallet_no)": Use(
        f"{FUNCTIONS}/app/flag_comment.sql", "select from app.flags where comment_no = $1 and wallet_no = $2"
    ),
    "app.sessions (session_id)": Use(
        f"{FUNCTIONS}/app/rotate_session.sql", "update app.sessions set replaced_by = $2 where session_id = $1"
    ),
    "app.sessions (refresh_hash)": Use(
        f"{FUNCTIONS}/app/rotate_session.sql", "select * from app.sessions where refresh_hash = $1"
    ),
    # Keys of bots, and what they sent before
    "app.api_keys (key_id)": Use(
        f"{FUNCTIONS}/app/revoke_api_key.sql", "update app.api_keys set revoked_at = now() where key_id = $1"
    ),
    "app.api_keys (secret_hash)": Use(
        f"{FUNCTIONS}/app/find_api_key.sql", "select key_id from app.api_keys where secret_hash = $1"
    ),
    "app.api_keys (wallet_no)": Use(
        f"{FUNCTIONS}/app/create_api_key.sql", "select count(*) from app.api_keys where wallet_no = $1"
    ),
    "app.idempotency_keys (wallet_no, idempotency_key)": Use(
        f"{FUNCTIONS}/app/claim_idempotency_key.sql",
        "select * from app.idempotency_keys where wallet_no = $1 and idempotency_key = $2",
    ),
    "app.idempotency_keys (expires_at)": Use(
        f"{FUNCTIONS}/app/delete_expired.sql",
        "select wallet_no from app.idempotency_keys where expires_at < $1 limit 100",
    ),
    # Moderation
    "app.flags (comment_no, flagged_at)": Use(
        "api/sql/moderation.sql",
        "select reason from app.flags where comment_no = $1 and flagged_at >= $2 order by flagged_at desc limit 10",
    ),
    "app.open_reports (comment_no)": Use(
        f"{FUNCTIONS}/app/moderate_comment.sql", "delete from app.open_reports where comment_no = $1"
    ),
    "app.open_reports (flags, comment_no)": Use(
        "api/sql/moderation.sql",
        "select comment_no from app.open_reports where (flags, comment_no) < ($1, $2)"
        " order by flags desc, comment_no desc limit 50",
    ),
    "app.bans (wallet_no)": Use(
        f"{FUNCTIONS}/app/require_right_to_write.sql", "select reason from app.bans where wallet_no = $1"
    ),
    "app.moderation (seq)": Use(
        "api/sql/moderation.sql", "select * from app.moderation where seq < $1 order by seq desc limit 10"
    ),
    "app.moderation (comment_no, seq) WHERE (comment_no IS NOT NULL)": Use(
        "api/sql/moderation.sql", "select from app.moderation where comment_no = $1 and decided_at >= $2"
    ),
    # Exported files
    "ops.exports (export_no)": Use(
        "api/sql/exports.sql", "select location from ops.exports order by export_no desc limit 1"
    ),
    "ops.exports (location, epoch, dataset, first_seq, last_seq)": Use(
        "api/sql/exports.sql", "select * from ops.exports where location = $1 and epoch = $2 and dataset = $3"
    ),
    "app.sessions (family_id)": Use(
        f"{FUNCTIONS}/app/close_session.sql", "update app.sessions set revoked_at = now() where family_id = $1"
    ),
    "app.sessions (expires_at)": Use(
        f"{FUNCTIONS}/app/delete_expired.sql", "select session_id from app.sessions where expires_at < $1 limit 100"
    ),
    # The foreign key's own statement when a session is deleted.
    "app.sessions (replaced_by)": Use(
        f"{FUNCTIONS}/app/delete_expired.sql", "update app.sessions set replaced_by = null where replaced_by = $1"
    ),
    "app.redeemed_nonces (nonce)": Use(
        f"{FUNCTIONS}/app/redeem_nonce.sql", "select from app.redeemed_nonces where nonce = $1"
    ),
    "app.redeemed_nonces (expires_at)": Use(
        f"{FUNCTIONS}/app/delete_expired.sql", "select nonce from app.redeemed_nonces where expires_at < $1 limit 100"
    ),
    "app.allowances (bucket)": Use(
        f"{FUNCTIONS}/app/lease_allowance.sql", "select used from app.allowances where bucket = $1"
    ),
    # The marts
    "marts.ballots (market_no, kind, wallet_no)": Use(
        FOLD, "select * from marts.ballots where market_no = $1 and kind = $2"
    ),
    "marts.ballots (wallet_no)": Use("api/sql/wallets.sql", "select * from marts.ballots where wallet_no = $1"),
    "marts.candles_1m (market_no, bucket_at)": Use(
        "api/sql/charts.sql", "select * from marts.candles_1m where market_no = $1 and bucket_at >= $2"
    ),
    "marts.leaderboard (period, wallet_no)": Use(
        SCHEDULED, "select * from marts.leaderboard where period = $1 order by wallet_no"
    ),
    **{
        f"marts.leaderboard (period, {rank}, user_wallet)": Use(
            "api/sql/leaderboard.sql",
            f"select * from marts.leaderboard where period = $1 order by {rank}, user_wallet limit 50",
        )
        for rank in ("profit_rank", "trades_rank", "volume_rank", "win_rate_rank")
    },
    "marts.market_lifecycle (seq)": Use(FOLD, "delete from marts.market_lifecycle where seq = $1"),
    "marts.market_lifecycle (market_no, order_key)": Use(
        "api/sql/markets.sql", "select * from marts.market_lifecycle where market_no = $1 order by order_key limit 50"
    ),
    "marts.market_lifecycle (event, order_key)": Use(
        f"{ROWS}/activity.sql",
        "select seq from marts.market_lifecycle where event = $1 order by order_key desc limit 50",
    ),
    "marts.markets (market_no)": Use(
        "sql_models/folds/markets.sql", "select * from marts.markets where market_no = $1"
    ),
    "marts.markets (created_at, market_no)": Use(
        "api/reads/pagination.py", "select * from marts.markets order by created_at desc, market_no desc limit 50"
    ),
    "marts.markets (creator_wallet)": Use(
        f"{ROWS}/markets.sql", "select * from marts.markets where creator_wallet = $1"
    ),
    "marts.markets (state_code, created_at DESC)": Use(
        "api/sql/discovery.sql",
        "select market_no from marts.markets where state_code = 2 order by created_at desc limit 20",
    ),
    "marts.markets (ipfs_question_hash)": Use(
        "api/sql/ipfs.sql", "select from marts.markets where ipfs_question_hash = $1"
    ),
    "marts.markets (ipfs_evidence_hash)": Use(
        "api/sql/ipfs.sql", "select from marts.markets where ipfs_evidence_hash = $1"
    ),
    "marts.platform_stats (period)": Use(
        "api/sql/leaderboard.sql", "select * from marts.platform_stats where period = $1"
    ),
    "marts.pnl_history (wallet_no, day)": Use(
        "api/sql/leaderboard.sql", "select * from marts.pnl_history where wallet_no = $1 order by day desc limit 90"
    ),
    "marts.position_costs (market_no, wallet_no)": Use(
        "sql_models/views/portfolio.sql", "select * from marts.position_costs where market_no = $1 and wallet_no = $2"
    ),
    "marts.positions (market_no, wallet_no)": Use(
        f"{ROWS}/wallets.sql", "select * from marts.positions where market_no = $1"
    ),
    "marts.positions (wallet_no)": Use("api/sql/wallets.sql", "select * from marts.positions where wallet_no = $1"),
    "marts.protocol_config (seq)": Use(FOLD, "delete from marts.protocol_config where seq = $1"),
    "marts.protocol_config (order_key)": Use(
        f"{ROWS}/markets.sql",
        "select dispute_period from marts.protocol_config where order_key < $1 order by order_key desc",
    ),
    "marts.realizations (market_no, wallet_no, kind, trade_seq)": Use(
        SCHEDULED,
        "select * from marts.realizations where market_no = $1 and wallet_no = $2 and kind = $3 and trade_seq = $4",
    ),
    "marts.realizations (wallet_no, realized_at)": Use(
        "docs/analytics.md", "select * from marts.realizations where wallet_no = $1 order by realized_at desc limit 20"
    ),
    "marts.priced_trades (seq)": Use("api/sql/trades.sql", "select * from marts.priced_trades where seq = any($1)"),
    "marts.priced_trades (market_no, order_key)": Use(
        "api/sql/trades.sql", "select * from marts.priced_trades where market_no = $1 order by order_key desc limit 50"
    ),
    "marts.priced_trades (wallet_no, order_key)": Use(
        "api/sql/trades.sql", "select * from marts.priced_trades where wallet_no = $1 order by order_key desc limit 50"
    ),
    "marts.priced_trades (order_key)": Use(
        "api/sql/trades.sql", "select * from marts.priced_trades order by order_key desc limit 50"
    ),
    "marts.priced_trades (order_key) WHERE (gross_from = ANY (ARRAY['totals'::text, 'provisional'::text]))": Use(
        f"{FUNCTIONS}/folds/reordered_seqs.sql",
        "select from marts.priced_trades where gross_from in ('totals', 'provisional') and order_key > $1",
    ),
    "marts.wallets (wallet_no)": Use(SCHEDULED, "select * from marts.wallets where wallet_no = $1"),
}


def describe(definition: str) -> str:
    """Return the table of an index and its columns with the condition; the method unless it is btree."""
    found = re.fullmatch(r"CREATE (?:UNIQUE )?INDEX \S+ ON (\S+) USING (\w+) (.*)", definition)
    assert found, definition
    table, method, columns = found.groups()
    return f"{table} {'' if method == 'btree' else f'USING {method} '}{columns}"


@pytest.fixture(scope="module")
def indexes(marts_template: testing.PostgresDatabase) -> Mapping[str, str]:
    """The name of each index of our schemas, by its description."""
    with marts_template.connect() as owner:
        rows = owner.execute(
            "select format('%I.%I', schemaname, indexname), indexdef from pg_indexes"
            " where schemaname in ('raw', 'ops', 'app', 'marts')"
        )
        return {describe(str(definition)): str(name) for name, definition in rows}


@pytest.fixture(scope="module")
def planner(
    postgres_server: testing.PostgresServer, marts_template: testing.PostgresDatabase
) -> Iterator[psycopg.Connection[Any]]:
    """A connection that makes generic plans and prefers any index to reading a whole table."""
    with postgres_server.clone(marts_template) as database, database.connect("postgres") as connection:
        connection.execute("set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set enable_sort = off")
        yield connection


def test_each_index_has_a_statement(indexes: Mapping[str, str]) -> None:
    """A new index names the statement that needs it; one that went leaves no entry."""
    assert sorted(indexes) == sorted(NEEDED)


@pytest.mark.parametrize("index", NEEDED)
def test_the_statement_uses_the_index(planner: psycopg.Connection[Any], indexes: Mapping[str, str], index: str) -> None:
    """Its generic plan reads the index, and the file that is named reads the table."""
    file, statement = NEEDED[index]
    schema, table = index.split(" ", maxsplit=1)[0].split(".")
    text = (ROOT / file).read_text(encoding="utf-8")
    assert file in (FOLD, SCHEDULED) or re.search(rf"\b{table}\b", text), f"{file} does not read {schema}.{table}"
    parameters = len(set(re.findall(r"\$\d", statement)))
    planner.execute(f"prepare used as {statement}".encode())
    try:
        values = f" ({', '.join(['null'] * parameters)})" if parameters else ""
        (plan,) = planner.execute(f"explain (format json) execute used{values}".encode()).fetchone() or ({},)
    finally:
        planner.execute("deallocate used")
    assert indexes[index].split(".")[1] in set(_index_names(plan[0]["Plan"])), plan


def _index_names(node: Mapping[str, Any]) -> Iterator[str]:
    """Yield the indexes of a plan."""
    if "Index Name" in node:
        yield node["Index Name"]
    for inner in node.get("Plans", ()):
        yield from _index_names(inner)
