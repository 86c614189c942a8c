create or replace function app.post_comment(p_market text, p_content text, p_parent_no bigint default null) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_wallet text := app.require_wallet();
    v_wallet_no int;
    v_market_no int;
    v_root_no bigint;
    v_comment_no bigint;
    v_seq bigint;
begin
    perform app.require_content(p_content);
    perform raw.take_writer();
    perform app.require_right_to_write();
    v_market_no := raw.market_number(p_market);
    if v_market_no is null then
        raise exception 'there is no market %', p_market using errcode = 'ZM404';
    end if;
    if p_parent_no is not null then
        select coalesce(c.root_no, c.comment_no) into v_root_no from app.comments as c
        where
            c.comment_no = p_parent_no and c.market_no = v_market_no and c.deleted_at is null
            and app.is_comment_shown(c.hidden_at, c.root_no);
        if v_root_no is null then
            raise exception 'there is no comment % under this market', p_parent_no using errcode = 'ZM404';
        end if;
    end if;
    v_wallet_no := raw.wallet_number(v_wallet);
    v_seq := raw.next_seq();
    insert into app.comments (seq, market_no, wallet_no, parent_no, root_no, content)
    values (v_seq, v_market_no, v_wallet_no, p_parent_no, v_root_no, p_content)
    returning comment_no into v_comment_no;
    perform raw.append_entries(
        array['comment'], array[v_comment_no], array[v_market_no], array[v_wallet_no],
        array[sha256(convert_to(p_content, 'UTF8'))]
    );
    perform folds.fold(v_seq - 1, v_seq);
    notify zmart_feed;
    return v_comment_no;
end
$$;
comment on function app.post_comment is
'Posts a comment of the signed-in wallet and returns its number. ZM404: unknown market or parent. ZM422: invalid text.';

grant execute on function app.post_comment to zmart_api;
