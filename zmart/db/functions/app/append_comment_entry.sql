create or replace function app.append_comment_entry(
    p_kind text, p_comment app.comments, p_wallet_no int, p_text text default null
) returns bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    v_seq bigint;
begin
    v_seq := raw.append_entries(
        array[p_kind], array[p_comment.comment_no], array[p_comment.market_no], array[p_wallet_no],
        array[sha256(convert_to(coalesce(p_text, ''), 'UTF8'))]
    );
    perform folds.fold(v_seq - 1, v_seq);
    notify zmart_feed;
    return v_seq;
end
$$;
comment on function app.append_comment_entry is 'Append that something happened to a comment; its seq. Call it holding raw.writer.';
