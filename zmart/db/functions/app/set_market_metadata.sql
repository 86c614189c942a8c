create or replace function app.set_market_metadata(
    p_market_id text, p_question text, p_description text, p_category text, p_tags text [], p_ends_at timestamptz,
    p_question_cid text
) returns bigint
-- The digest of the entry contains a time, which the audit has to write in the same way.
language plpgsql security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $$
declare
    v_wallet text := app.require_wallet();
    v_wallet_no int;
    v_market_no int;
    v_creator text;
    v_anchored text;
    v_slug text;
    v_seq bigint;
begin
    perform raw.take_writer();
    perform app.require_right_to_write();
    v_wallet_no := raw.wallet_number(v_wallet);
    v_market_no := raw.market_number(p_market_id);
    select creator_wallet, ipfs_question_hash into v_creator, v_anchored
    from marts.markets where market_no = v_market_no and is_known;
    if v_creator <> v_wallet then
        raise exception 'only the creator of a market can set its metadata' using errcode = 'ZM403';
    end if;
    -- Older clients stored the first 46 characters of some JSON in the field of the content id (protocol.md 5.3).
    if v_anchored !~ '^Qm[1-9A-HJ-NP-Za-km-z]{44}$' then
        p_question_cid := null;
    elsif v_anchored <> p_question_cid then
        raise exception 'the market was created with another text, which has the content id %. Send exactly that text', v_anchored using errcode = 'ZM409';
    end if;
    v_slug := app.assign_market_slug(p_market_id, v_wallet_no, p_question, v_creator is not null);
    insert into app.market_metadata
        (market_id, wallet_no, question, description, category, tags, ends_at, question_cid, slug)
    values (p_market_id, v_wallet_no, p_question, p_description, p_category, p_tags, p_ends_at, p_question_cid, v_slug)
    on conflict (market_id, wallet_no) do update set
        question = excluded.question, description = excluded.description, category = excluded.category,
        tags = excluded.tags, ends_at = excluded.ends_at, question_cid = excluded.question_cid, slug = excluded.slug;
    if v_market_no is null then
        return null;
    end if;
    v_seq := raw.next_seq();
    perform raw.append_entries(
        array['metadata'], array[v_seq], array[v_market_no], array[v_wallet_no],
        array[sha256(convert_to(jsonb_build_array(
            p_question, p_description, p_category, p_tags, p_ends_at, p_question_cid
        )::text, 'UTF8'))]
    );
    perform folds.fold(v_seq - 1, v_seq);
    notify zmart_feed;
    return v_seq;
end
$$;
comment on function app.set_market_metadata is
'Stores the metadata of a market for the current wallet. Returns the seq, or null before the market exists. ZM403: not its creator. ZM409: not the anchored text.';

grant execute on function app.set_market_metadata to zmart_api;
