-- Keeps signatures unique by a hash index instead of a B-tree: 30 to 40 bytes for each transaction instead of 160, and a lookup
-- reads one page. It takes a few seconds for each million transactions.
alter table raw.transactions
drop constraint transactions_signature_key,
add constraint transactions_signature_once exclude using hash (signature with =);
