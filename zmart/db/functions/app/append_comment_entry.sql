create or replace function app.append_comment_entry(p_kind text, p_comment app.comments, p_wallet_no int) returns bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    v_seq bigint := raw.next_seq();
begin
    insert into raw.feed (seq, kind, ref, market_no, wallet_no)
    values (v_seq, p_kind, p_comment.comment_no, p_comment.market_no, p_wallet_no);
    perform folds.fold(v_seq - 1, v_seq);
    notify zmart_feed;
    return v_seq;
end
$$;
comment on function app.append_comment_entry is 'Appends an entry about a comment to the feed and returns its seq. The caller must hold raw.writer.';
