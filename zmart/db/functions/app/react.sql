create or replace function app.react(p_comment_no bigint, p_vote text) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_wallet text := app.require_wallet();
    v_wallet_no int;
    v_comment app.comments;
    v_before text;
begin
    if p_vote is not null and p_vote not in ('up', 'down') then
        raise exception 'a vote must be up or down, or null to remove it' using errcode = 'ZM422';
    end if;
    v_comment := app.lock_comment(p_comment_no);
    perform app.require_right_to_write();
    v_wallet_no := raw.wallet_number(v_wallet);
    select vote into v_before from app.reactions where comment_no = p_comment_no and wallet_no = v_wallet_no;
    if v_before is not distinct from p_vote then
        return null;
    end if;
    if p_vote is null then
        delete from app.reactions where comment_no = p_comment_no and wallet_no = v_wallet_no;
    else
        insert into app.reactions (comment_no, wallet_no, seq, vote)
        values (p_comment_no, v_wallet_no, raw.next_seq(), p_vote)
        on conflict (comment_no, wallet_no)
        do update set seq = excluded.seq, vote = excluded.vote, reacted_at = clock_timestamp();
    end if;
    return app.append_comment_entry('reaction', v_comment, v_wallet_no);
end
$$;
comment on function app.react is
'Sets the vote of the current wallet on a comment to up or down, or removes it for null. Returns the seq, or null if nothing changed. ZM404: no such comment, or deleted. ZM422: another vote.';

grant execute on function app.react to zmart_api;
