create or replace function app.moderate_image(p_digest bytea, p_action text, p_reason text) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_moderator_no int := app.require_moderator(p_reason);
    v_image app.images;
begin
    select * into v_image from app.images where digest = p_digest;
    if v_image.digest is null then
        raise exception 'No market shows an image with this digest' using errcode = 'ZM404';
    elsif v_image.erased_at is not null then
        raise exception 'this image was erased' using errcode = 'ZM409';
    elsif p_action = 'hide' and v_image.hidden_at is not null then
        raise exception 'this image is hidden already' using errcode = 'ZM409';
    elsif p_action = 'restore' and v_image.hidden_at is null then
        raise exception 'this image is not hidden' using errcode = 'ZM409';
    end if;
    if p_action = 'hide' then
        update app.images set hidden_at = clock_timestamp() where digest = p_digest;
    elsif p_action = 'restore' then
        update app.images set hidden_at = null where digest = p_digest;
    elsif p_action = 'erase' then
        -- The row stays, so that the same bytes are refused when they come again.
        update app.images
        set content = '', hidden_at = coalesce(hidden_at, clock_timestamp()), erased_at = clock_timestamp()
        where digest = p_digest;
    else
        raise exception 'an action on an image must be hide, restore or erase' using errcode = 'ZM422';
    end if;
    -- A new version of each row that shows it, for caches of rows.
    update app.market_pages set image_digest = image_digest where image_digest = p_digest;
    return app.append_moderation(
        p_action, 'image', null, null, v_image.wallet_no, v_moderator_no, p_reason, p_digest
    );
end
$$;
comment on function app.moderate_image is
'Hides, restores or erases an image wherever it is shown, and returns the seq. ZM403: no moderator. ZM404: no such image. ZM409: nothing to change. ZM422: another action, or no reason.';

grant execute on function app.moderate_image to zmart_api;
