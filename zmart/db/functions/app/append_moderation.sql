create or replace function app.append_moderation(
    p_action text, p_subject text, p_comment_no bigint, p_market_no int, p_wallet_no int, p_moderator_no int, p_reason text,
    p_image_digest bytea default null, p_event_no int default null
) returns bigint
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
    v_seq bigint := raw.next_seq();
begin
    insert into app.moderation
        (seq, action, subject, comment_no, market_no, wallet_no, moderator_no, reason, image_digest, event_no)
    values (
        v_seq, p_action, p_subject, p_comment_no, p_market_no, p_wallet_no, p_moderator_no, p_reason, p_image_digest,
        p_event_no
    );
    perform raw.append_entries(
        array['moderation'], array[v_seq], array[p_market_no], array[p_wallet_no],
        array[sha256(convert_to(jsonb_build_array(
            p_action, p_subject, coalesce(p_comment_no::text, encode(p_image_digest, 'hex'), p_event_no::text), p_reason
        )::text, 'UTF8'))]
    );
    perform folds.fold(v_seq - 1, v_seq);
    notify zmart_feed;
    return v_seq;
end
$$;
comment on function app.append_moderation is
'Stores a decision of a moderator, appends its entry to the feed and returns the seq. The caller must hold raw.writer.';
