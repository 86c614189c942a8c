-- A ballot signed in an off-chain envelope has the signed bytes beside its text, so that the count can be repeated.

alter table app.ballots add column envelope bytea;
comment on column app.ballots.envelope is
'The signed bytes, if the wallet signed an off-chain envelope around the message; else null.';
-- Their files create them again with one more parameter, which would be a second function of the same name. A database
-- before 0034 has its functions from migrations; "if exists" covers one that never had them.
drop function if exists app.cast_ballot(text, text, boolean, text, text);
drop function if exists app.cast_signed_ballot(text, text, boolean, text, text, text, timestamptz, text);
