-- name: get_fact
-- The fact with a name, or no row.
select value from facts where name = :name;

-- name: set_fact
-- Store a fact, or replace its value.
insert into facts (name, value) values (:name, :value)
on conflict (name) do update set value = excluded.value;

-- name: add_block
-- One closed block.
insert into blocks (slot, parent_slot, height, time, blockhash, previous_blockhash)
values (:slot, :parent_slot, :height, :time, :blockhash, :previous_blockhash);

-- name: add_transaction
-- One transaction of a block.
insert into transactions (slot, position, signature, raw, err, outcome, is_ours)
values (:slot, :position, :signature, :raw, :err, :outcome, :is_ours);

-- name: add_mention
-- Record that a transaction names an account.
insert or ignore into mentions (address, slot, position) values (:address, :slot, :position);

-- name: put_account
-- Store an account as of a block.
insert into accounts (address, lamports, owner, executable, data)
values (:address, :lamports, :owner, :executable, :data)
on conflict (address) do update set
  lamports = excluded.lamports, owner = excluded.owner,
  executable = excluded.executable, data = excluded.data;

-- name: drop_account
-- Delete an account that a block left empty.
delete from accounts where address = :address;

-- name: accounts
-- Every account.
select address, lamports, owner, executable, data from accounts;

-- name: newest_blocks
-- The newest blocks, newest first.
select slot, parent_slot, height, time, blockhash, previous_blockhash
from blocks order by slot desc limit :limit;

-- name: block
-- The block of a slot, or no row if the slot was skipped.
select slot, parent_slot, height, time, blockhash, previous_blockhash
from blocks where slot = :slot;

-- name: slots_between
-- The slots that have a block, in order.
select slot from blocks where slot between :first and :last order by slot limit :limit;

-- name: first_slot
-- The oldest stored block.
select min(slot) from blocks;

-- name: transactions_of_block
-- A block's transactions in order.
select t.slot, t.position, t.raw, t.outcome, b.time
from transactions as t inner join blocks as b on b.slot = t.slot
where t.slot = :slot order by t.position;

-- name: transaction
-- The transaction at a place.
select t.slot, t.position, t.raw, t.outcome, b.time
from transactions as t inner join blocks as b on b.slot = t.slot
where t.slot = :slot and t.position = :position;

-- name: transaction_by_signature
-- The transaction of a signature, or no row.
select t.slot, t.position, t.raw, t.outcome, b.time
from transactions as t inner join blocks as b on b.slot = t.slot
where t.signature = :signature;

-- name: transaction_count
-- The number of transactions.
select count(*) from transactions;

-- name: place_of
-- The place of a signature, or no row.
select slot, position from transactions where signature = :signature;

-- name: mentions_of
-- Transactions naming an account, newest first, from a place (excluded) down to one (excluded).
select t.signature, t.slot, t.position, b.time, t.err
from mentions as m
inner join transactions as t on t.slot = m.slot and t.position = m.position
inner join blocks as b on b.slot = t.slot
where m.address = :address
  and (m.slot, m.position) < (:before_slot, :before_position)
  and (m.slot, m.position) > (:until_slot, :until_position)
order by m.slot desc, m.position desc limit :limit;

-- name: bodies_of
-- Transactions naming an account, oldest first, after a place and up to a slot.
select t.slot, t.position, t.raw, t.outcome, b.time
from mentions as m
inner join transactions as t on t.slot = m.slot and t.position = m.position
inner join blocks as b on b.slot = t.slot
where m.address = :address
  and (m.slot, m.position) > (:slot, :position) and m.slot <= :up_to
order by m.slot, m.position limit :limit;

-- name: undelivered_after
-- Places of the program's transactions after one and up to a slot, in order.
select slot, position from transactions
where is_ours and (slot, position) > (:slot, :position) and slot <= :up_to
order by slot, position limit :limit;

-- name: revert_mentions
-- Delete the accounts named by the transactions of a dropped slot.
delete from mentions where slot = :slot;

-- name: revert_transactions
-- Delete the transactions of a dropped slot.
delete from transactions where slot = :slot;

-- name: revert_block
-- Delete the block of a dropped slot.
delete from blocks where slot = :slot;

-- name: drop_empty_blocks
-- Delete old empty blocks.
delete from blocks where slot < :slot
  and not exists (select 1 from transactions as t where t.slot = blocks.slot);

-- name: plan_delivery
-- Queue a webhook body to post at some time.
insert into deliveries (due_at, places) values (:due_at, :places);

-- name: due_deliveries
-- Due bodies, the oldest first.
select id, due_at, attempts, places from deliveries
where due_at <= :now order by due_at, id limit :limit;

-- name: next_due
-- The time of the next body, or null.
select min(due_at) from deliveries;

-- name: postpone_delivery
-- Retry a body later.
update deliveries set due_at = :due_at, attempts = attempts + 1 where id = :id;

-- name: delete_delivery
-- Remove a body that was answered or given up.
delete from deliveries where id = :id;
