-- name: wallets
-- Voters.
insert into raw.wallets_seen (wallet_no, wallet)
select n, 'wallet-' || n from generate_series(1, %(wallets)s) as n;

-- name: markets_seen
-- Markets by number.
insert into raw.markets_seen (market_no, account, market_id)
select n, 'account-' || n, lpad(to_hex(n), 64, '0') from generate_series(1, %(markets)s) as n;

-- name: transactions
-- An event for half of the wallets, so that they count as seen.
insert into raw.transactions (transaction_no, signature, slot, order_settled, digest)
select n, 'signature-' || n, n, true, '' from generate_series(1, %(wallets)s) as n;

-- name: events
-- One event of each even wallet.
insert into raw.events (seq, order_key, transaction_no, ordinal, name, market_no, wallet_no, clock, payload)
select n, n::bigint << 24, n, 0, 'ProposalVoteSubmitted', 1 + n %% %(markets)s, n, 1760000000 + n, '{"vote": true}'
from generate_series(2, %(wallets)s, 2) as n;

-- name: finality
-- Every slot is final.
insert into raw.feed (seq, kind, ref) values (1, 'finalized_through', 1 << 30);

-- name: markets
-- Proposals without a tally, created after those events.
insert into marts.markets (
    market_no, id, on_chain_address, is_known, created_key, state_key, state_code, shares_yes, shares_no, total_volume,
    trades_count, protocol_fees_paid, resolver_fees_earned, lp_fees_earned, liquidity_change, resolver_paid, claims_count,
    claims_paid, withdrawn_amount, was_disputed, created_at, last_order_key, last_seq
)
select
    m.market_no, m.market_id, m.account, true, (%(wallets)s + m.market_no)::bigint << 24, m.market_no::bigint << 24, 0, 0, 0, 0, 0, 0, 0, 0,
    0, false, 0, 0, 0, false, to_timestamp(1760000000), m.market_no::bigint << 24, m.market_no
from raw.markets_seen as m;

-- name: ballots
-- Ballots of every market by the same number of wallets: seven of ten on chain, nine of ten in favour in half of the markets.
insert into marts.ballots (market_no, kind, wallet_no, market_id, user_wallet, precedence, vote, source, cast_at, last_seq)
select
    m.market_no, 'proposal', w.wallet_no, m.market_id, w.wallet, 0,
    (m.market_no + k) %% 10 <> 0 and (m.market_no %% 2 = 0 or k %% 2 = 0),
    case when k %% 10 < 7 then 'chain' else 'api' end, to_timestamp(1760000000 + k), m.market_no
from raw.markets_seen as m
cross join generate_series(0, %(each)s - 1) as k
inner join raw.wallets_seen as w on w.wallet_no = 1 + (m.market_no * 7919 + k * 101) %% %(wallets)s;
