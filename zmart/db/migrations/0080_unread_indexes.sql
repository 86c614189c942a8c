-- Drops indexes that no statement reads; tests/integration/test_index_plans.py names the statement of each that stays.

-- Pages of a market's comments follow comment_no: comments_newest replaces it.
drop index app.comments_market_no_created_at_idx;
-- The replies of a thread have its root_no: comments_replies replaces it. Comments are never deleted, so the foreign key
-- does not need it.
drop index app.comments_parent_no;
-- Flags are counted by comment, which is the start of the primary key.
drop index app.flags_of;
-- Keepers look only at the open intent of a market and action: intents_open replaces both.
drop index ops.intents_market;
drop index ops.intents_unclosed;
