-- A signature that cannot be fetched is reported after some minutes, with its reason.

alter table raw.wanted add column failing_since timestamptz;
alter table raw.wanted add column last_error_kind text collate "C";
comment on column raw.wanted.failing_since is 'When the first attempt brought nothing; null before an attempt.';
comment on column raw.wanted.last_error_kind is 'The kind of the last error (a class of zmart.chain.rpc_errors); Unknown where no node knows the signature.';
