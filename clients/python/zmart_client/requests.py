"""Every call of the API.

Written by clients/generate.py from the specification; change that instead.
"""

from __future__ import annotations

from typing import Any, Literal, Unpack, cast
from typing import Protocol as Structure
from urllib.parse import quote

from .types import (
    AccountLimits,
    Ack,
    ApiKeys,
    BallotText,
    BuyShares,
    CandleBatch,
    CandleBatchRequest,
    Candles,
    CastBallot,
    CastVotes,
    Categories,
    ChangedPost,
    CreatedApiKey,
    CreateMarket,
    Decided,
    Discussions,
    DisputeBallot,
    DisputeCounts,
    Edits,
    EventDecision,
    EventGroupPage,
    EventGroupResult,
    EventGroupWithMarkets,
    Exports,
    Health,
    Holders,
    ImageDecision,
    Leaderboard,
    Lifecycle,
    Market,
    MarketActivity,
    MarketBatch,
    MarketBatchRequest,
    MarketImage,
    MarketPage,
    MarketStats,
    MarketTradePage,
    MarketVotes,
    MetadataResult,
    ModerationLog,
    ModerationQueue,
    NewApiKey,
    NewestActivities,
    NewEventGroup,
    NewImage,
    NewMarketPost,
    NewMetadata,
    NewPost,
    NewProfile,
    NonceToSign,
    OnePosition,
    Platform,
    PnlHistory,
    Portfolio,
    PositionBatch,
    PositionBatchRequest,
    PostDecision,
    PostReport,
    PostResult,
    PriceHistory,
    Profile,
    ProposalBallot,
    ProposalCounts,
    Protocol,
    Quote,
    QuoteBatch,
    QuoteBatchRequest,
    Reaction,
    Readiness,
    RecordedBallot,
    RefreshToken,
    RelatedMarkets,
    RelayedTransaction,
    Replies,
    ResolveMarket,
    RevokedApiKey,
    SellShares,
    Session,
    SignedMessage,
    SignedTransaction,
    SignOutResult,
    SqlAnswer,
    SqlConsole,
    SqlQuery,
    Status,
    Threads,
    Ticket,
    TradePage,
    TransactionStatus,
    TrendingMarkets,
    UnsignedMarket,
    UnsignedOnMarket,
    UnsignedTrade,
    UserPosition,
    VoteCounts,
    VoteOnDispute,
    VoteOnProposal,
    Wallet,
    WalletActivity,
    WalletDecision,
    WalletStats,
    WalletTradePage,
    WalletVotes,
)


def _quoted(text: str) -> str:
    return quote(text, safe="")


class Transport(Structure):
    """Carries a call."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        body: Any = None,
        is_idempotent: bool = False,
    ) -> Any:
        """The body of the answer: JSON read, or bytes."""
        ...


class Requests:
    """One method a call; `Zmart` is what to use."""

    _transport: Transport

    async def list_api_keys(self) -> ApiKeys:
        """List the API keys of the wallet.

        Return the newest 100 keys, also those that were revoked, without the keys themselves.
        """
        return cast("ApiKeys", await self._transport.request("GET", "/api/account/keys"))

    async def create_api_key(self, **body: Unpack[NewApiKey]) -> CreatedApiKey:
        """Create an API key.

        Create a key for a program: it is sent as `Authorization: Bearer`, like an access token, and needs no renewal.
        The key is in this response only. A key cannot manage keys or sessions, and cannot open tickets.
        """
        return cast("CreatedApiKey", await self._transport.request("POST", "/api/account/keys", body=body))

    async def revoke_api_key(self, key_id: str) -> RevokedApiKey:
        """Revoke an API key.

        Revoke a key. Its streams end, and every process refuses it, within seconds. A second call changes nothing.
        """
        return cast("RevokedApiKey", await self._transport.request("DELETE", f"/api/account/keys/{_quoted(key_id)}"))

    async def show_limits(self) -> AccountLimits:
        """Get the limits of the caller.

        Return what the caller may ask, after this request. `x-cost` of each operation is what a call takes of it.
        Send an access token or an API key to see the limits of its wallet. Each response names its own cost in
        `RateLimit-Cost`.
        """
        return cast("AccountLimits", await self._transport.request("GET", "/api/account/limits"))

    async def sign_out(self, **body: Unpack[RefreshToken]) -> SignOutResult:
        """Sign out.

        End the session of this refresh token. Access tokens of the session, and streams opened with them, stay valid
        until their fifteen minutes are over.
        """
        return cast("SignOutResult", await self._transport.request("POST", "/api/auth/logout", body=body))

    async def show_nonce(self, *, wallet: str | None = None) -> NonceToSign:
        """Get a text to sign for sign-in.

        Return the fields for Sign-In With Solana, valid for five minutes and one sign-in. Sign-in starts here.
        """
        return cast("NonceToSign", await self._transport.request("GET", "/api/auth/nonce", query={"wallet": wallet}))

    async def refresh_session(self, **body: Unpack[RefreshToken]) -> Session:
        """Refresh a session.

        Exchange a refresh token for the next pair of tokens. A second use of one ends the session.
        """
        return cast("Session", await self._transport.request("POST", "/api/auth/refresh", body=body))

    async def issue_ticket(self) -> Ticket:
        """Create a ticket for one stream.

        Issue a single-use ticket, valid for sixty seconds, for EventSource and WebSocket, which send no headers. The
        topic `me` that it opens ends when the access token of this request expires, at most fifteen minutes later.
        """
        return cast("Ticket", await self._transport.request("POST", "/api/auth/ticket"))

    async def sign_in(self, **body: Unpack[SignedMessage]) -> Session:
        """Sign in.

        Exchange a signed text for tokens. Every field of the text is checked, and its nonce is single use.
        """
        return cast("Session", await self._transport.request("POST", "/api/auth/verify", body=body))

    async def batch_candles(self, **body: Unpack[CandleBatchRequest]) -> CandleBatch:
        """Get candles of several markets.

        Return the newest candles of the same window for each market, in the order of the request, in one snapshot.
        """
        return cast("CandleBatch", await self._transport.request("POST", "/api/candles/batch", body=body))

    async def post_discussion(self, **body: Unpack[NewMarketPost]) -> PostResult:
        """Create a post.

        Create a post or a reply, with the market in the body.
        """
        return cast(
            "PostResult", await self._transport.request("POST", "/api/discussions", body=body, is_idempotent=True)
        )

    async def delete_discussion(self, name: str) -> Ack:
        """Delete your own post.

        Delete the post's text; replies to it stay.
        """
        return cast("Ack", await self._transport.request("DELETE", f"/api/discussions/{_quoted(name)}"))

    async def list_discussions(
        self, name: str, *, limit: int | None = None, offset: int | None = None, cursor: str | None = None
    ) -> Discussions:
        """List all posts under a market.

        List every post individually, the newest first, without deleted ones.
        """
        return cast(
            "Discussions",
            await self._transport.request(
                "GET", f"/api/discussions/{_quoted(name)}", query={"limit": limit, "offset": offset, "cursor": cursor}
            ),
        )

    async def edit_discussion(self, name: str, **body: Unpack[ChangedPost]) -> PostResult:
        """Edit your own post.

        Replace the post's text. Its earlier text is stored and can be read.
        """
        return cast(
            "PostResult", await self._transport.request("PATCH", f"/api/discussions/{_quoted(name)}", body=body)
        )

    async def list_edits(self, name: str) -> Edits:
        """List earlier texts of a post.

        List the post's earlier versions, the latest edit first.
        """
        return cast("Edits", await self._transport.request("GET", f"/api/discussions/{_quoted(name)}/edits"))

    async def flag_discussion(self, name: str, **body: Unpack[PostReport]) -> Ack:
        """Report a post.

        Report the post, once per wallet. The number of reports is shown, but not the wallets.
        """
        return cast("Ack", await self._transport.request("POST", f"/api/discussions/{_quoted(name)}/flag", body=body))

    async def list_replies(self, name: str, *, after: str | None = None, limit: int | None = None) -> Replies:
        """List a thread's replies.

        List replies in the order of their creation; for the next page, send the last one's id as `after`.
        """
        return cast(
            "Replies",
            await self._transport.request(
                "GET", f"/api/discussions/{_quoted(name)}/replies", query={"after": after, "limit": limit}
            ),
        )

    async def vote_on_discussion(self, name: str, **body: Unpack[Reaction]) -> PostResult:
        """Rate a post up or down.

        Set the wallet's reaction. There is one per wallet; another one replaces it, null removes it.
        """
        return cast(
            "PostResult", await self._transport.request("POST", f"/api/discussions/{_quoted(name)}/vote", body=body)
        )

    async def list_events(self, *, before: int | None = None, limit: int | None = None) -> EventGroupPage:
        """List events.

        List events, the newest first. An event is a title with markets that belong together.
        """
        return cast(
            "EventGroupPage",
            await self._transport.request("GET", "/api/events", query={"before": before, "limit": limit}),
        )

    async def create_event(self, **body: Unpack[NewEventGroup]) -> EventGroupResult:
        """Make an event.

        Put markets under one title: your own ones, or any as a moderator.
        """
        return cast(
            "EventGroupResult", await self._transport.request("POST", "/api/events", body=body, is_idempotent=True)
        )

    async def delete_event(self, slug: str) -> EventGroupResult:
        """Delete an event.

        Delete an event, not its markets; for the wallet that made it and moderators.
        """
        return cast("EventGroupResult", await self._transport.request("DELETE", f"/api/events/{_quoted(slug)}"))

    async def show_event(self, slug: str) -> EventGroupWithMarkets:
        """Get an event with its markets.

        Return an event and the rows of its markets in their order, all from one snapshot.
        """
        return cast("EventGroupWithMarkets", await self._transport.request("GET", f"/api/events/{_quoted(slug)}"))

    async def replace_event(self, slug: str, **body: Unpack[NewEventGroup]) -> EventGroupResult:
        """Replace an event.

        Replace title, text and markets of an event; for the wallet that made it and moderators. A new title gives a
        new slug, and the earlier one keeps leading to the event.
        """
        return cast("EventGroupResult", await self._transport.request("PUT", f"/api/events/{_quoted(slug)}", body=body))

    async def list_exports(
        self, *, dataset: Literal["log", "marts"] | None = None, after: int | None = None, limit: int | None = None
    ) -> Exports:
        """List exported files.

        List published segments of Parquet files with their digests, the oldest first. Each file was read back and
        compared before its segment was published. The same files can be imported by `zmart replay`, which computes
        the chain and the marts again.
        """
        return cast(
            "Exports",
            await self._transport.request(
                "GET", "/api/exports", query={"dataset": dataset, "after": after, "limit": limit}
            ),
        )

    async def get_exported_file(self, path: str) -> bytes:
        """Get an exported file.

        Return the file, or redirect (307) to a signed address of its store, which is valid for an hour.
        """
        return cast("bytes", await self._transport.request("GET", f"/api/exports/files/{_quoted(path)}"))

    async def show_image(self, digest: str) -> bytes:
        """Get an image.

        Return the bytes of an image that a market shows, as image/png, image/jpeg or image/webp. They never change,
        so browsers and proxies may keep them.
        """
        return cast("bytes", await self._transport.request("GET", f"/api/images/{_quoted(digest)}"))

    async def show_document(self, cid: str) -> bytes:
        """Get a document by its content id.

        Return a document that a market or a snapshot refers to, fetched from the configured gateway. The gateway's
        bytes are hashed and compared with the content id; other bytes are rejected (503). So are files that were not
        added in the default way of `ipfs add` (chunks of 256 KiB, no raw leaves), which cannot be compared.
        """
        return cast("bytes", await self._transport.request("GET", f"/api/ipfs/{_quoted(cid)}"))

    async def show_leaderboard(
        self,
        *,
        period: Literal["24h", "7d", "30d", "all"] | None = None,
        by: Literal["profit", "volume", "trades", "win_rate"] | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Leaderboard:
        """List the best wallets.

        List wallets by realized profit, volume, trades, or share of decided positions won.
        """
        return cast(
            "Leaderboard",
            await self._transport.request(
                "GET", "/api/leaderboard", query={"period": period, "by": by, "limit": limit, "offset": offset}
            ),
        )

    async def show_market_by_slug(self, slug: str) -> Market:
        """Get a market by its slug.

        Return the market that has or had a slug; its `slug` is the current one.
        """
        return cast("Market", await self._transport.request("GET", f"/api/market-slugs/{_quoted(slug)}"))

    async def list_markets(
        self,
        *,
        state: str | None = None,
        category: str | None = None,
        creator: str | None = None,
        q: str | None = None,
        sort: Literal[
            "newest",
            "oldest",
            "volume",
            "liquidity",
            "trades",
            "price_high",
            "price_low",
            "contested",
            "last_trade",
            "activity",
        ]
        | None = None,
        limit: int | None = None,
        offset: int | None = None,
        cursor: str | None = None,
    ) -> MarketPage:
        """List markets.

        List the markets whose creation is known.
        """
        return cast(
            "MarketPage",
            await self._transport.request(
                "GET",
                "/api/markets",
                query={
                    "state": state,
                    "category": category,
                    "creator": creator,
                    "q": q,
                    "sort": sort,
                    "limit": limit,
                    "offset": offset,
                    "cursor": cursor,
                },
            ),
        )

    async def create_market(self, **body: Unpack[CreateMarket]) -> UnsignedMarket:
        """Build the creation of a market to sign.

        Return a market to sign. Its text is stored at once and shown when the market exists.
        """
        return cast(
            "UnsignedMarket", await self._transport.request("POST", "/api/markets", body=body, is_idempotent=True)
        )

    async def list_newest_activity(
        self, *, type: Literal["trade", "resolution", "creation"] | None = None, limit: int | None = None
    ) -> NewestActivities:
        """List recent events.

        List the latest first by the chain's clock: a mixture of trades, resolutions and creations, or one type.
        """
        return cast(
            "NewestActivities",
            await self._transport.request("GET", "/api/markets/activity", query={"type": type, "limit": limit}),
        )

    async def batch_markets(self, **body: Unpack[MarketBatchRequest]) -> MarketBatch:
        """Get up to 100 markets.

        Return markets in the order of the request, with their newest prices and your own positions, in one snapshot.
        The positions are those of the wallet of the access token or API key; without one there are none.
        """
        return cast("MarketBatch", await self._transport.request("POST", "/api/markets/batch", body=body))

    async def list_categories(self) -> Categories:
        """List the largest categories.

        List at most five categories; `trend` is the growth in the week up to the newest event.
        """
        return cast("Categories", await self._transport.request("GET", "/api/markets/categories"))

    async def list_trending(self, *, limit: int | None = None) -> TrendingMarkets:
        """List the most traded markets.

        List ACTIVE markets by volume and traders of the day up to the newest event, by the chain's clock.
        """
        return cast(
            "TrendingMarkets", await self._transport.request("GET", "/api/markets/trending", query={"limit": limit})
        )

    async def show_market(self, market: str) -> Market:
        """Get a market.

        Return the whole row, without a wrapper.
        """
        return cast("Market", await self._transport.request("GET", f"/api/markets/{_quoted(market)}"))

    async def list_market_activity(
        self, market: str, *, limit: int | None = None, cursor: str | None = None
    ) -> MarketActivity:
        """List a market's events.

        List every event of the market, the latest on chain first.
        """
        return cast(
            "MarketActivity",
            await self._transport.request(
                "GET", f"/api/markets/{_quoted(market)}/activity", query={"limit": limit, "cursor": cursor}
            ),
        )

    async def list_candles(
        self,
        market: str,
        *,
        interval: str | None = None,
        from_: str | None = None,
        to: str | None = None,
        limit: int | None = None,
        fill: bool | None = None,
    ) -> Candles:
        """Get a market's candles.

        List the newest candles of a window, the latest last; for older ones, send the first `bucket_at` as `to`.
        """
        return cast(
            "Candles",
            await self._transport.request(
                "GET",
                f"/api/markets/{_quoted(market)}/candles",
                query={"interval": interval, "from": from_, "to": to, "limit": limit, "fill": fill},
            ),
        )

    async def claim_winnings(self, market: str) -> UnsignedOnMarket:
        """Build a claim to sign.

        Return a claim of the wallet's share of a finalized market's pool, or of its stake.
        """
        return cast("UnsignedOnMarket", await self._transport.request("POST", f"/api/markets/{_quoted(market)}/claim"))

    async def list_market_discussions(
        self,
        market: str,
        *,
        view: Literal["threads", "all"] | None = None,
        replies: int | None = None,
        limit: int | None = None,
        offset: int | None = None,
        cursor: str | None = None,
    ) -> Threads | Discussions:
        """List the posts under a market.

        List threads, the newest first, each with its first replies; or all posts individually.
        """
        return cast(
            "Threads | Discussions",
            await self._transport.request(
                "GET",
                f"/api/markets/{_quoted(market)}/discussions",
                query={"view": view, "replies": replies, "limit": limit, "offset": offset, "cursor": cursor},
            ),
        )

    async def post_under_market(self, market: str, **body: Unpack[NewPost]) -> PostResult:
        """Create a post under a market.

        Create a post under the market, or a reply to another post of it (`parent_id`).
        """
        return cast(
            "PostResult",
            await self._transport.request(
                "POST", f"/api/markets/{_quoted(market)}/discussions", body=body, is_idempotent=True
            ),
        )

    async def dispute_market(self, market: str) -> UnsignedOnMarket:
        """Build a dispute to sign.

        Return a dispute to sign; anyone may dispute a proposed outcome in the dispute period.
        """
        return cast(
            "UnsignedOnMarket", await self._transport.request("POST", f"/api/markets/{_quoted(market)}/dispute")
        )

    async def vote_on_dispute(self, market: str, **body: Unpack[VoteOnDispute]) -> UnsignedOnMarket:
        """Build a dispute vote to sign.

        Return a vote on chain to sign. The older proofs are not enough to vote on a dispute.
        """
        return cast(
            "UnsignedOnMarket",
            await self._transport.request("POST", f"/api/markets/{_quoted(market)}/dispute/vote", body=body),
        )

    async def list_holders(
        self,
        market: str,
        *,
        outcome: Literal["YES", "NO"] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Holders:
        """List a market's holders.

        List the largest first, by shares of the outcome or of both together.
        """
        return cast(
            "Holders",
            await self._transport.request(
                "GET",
                f"/api/markets/{_quoted(market)}/holders",
                query={"outcome": outcome, "limit": limit, "cursor": cursor},
            ),
        )

    async def remove_market_image(self, market: str) -> MarketImage:
        """Remove a market's image.

        Remove the image of a market; for its creator and moderators. The bytes go if no other market shows them.
        """
        return cast("MarketImage", await self._transport.request("DELETE", f"/api/markets/{_quoted(market)}/image"))

    async def set_market_image(self, market: str, **body: Unpack[NewImage]) -> MarketImage:
        """Set a market's image.

        Replace the image of a market; for its creator and moderators. The type comes from the bytes: PNG, JPEG or
        WebP. Files that are cut off, animated, too large in pixels, or followed by other bytes are refused with the
        reason. Places, names, dates and comments that a camera or program wrote into the file are removed before it
        is stored.
        """
        return cast(
            "MarketImage", await self._transport.request("PUT", f"/api/markets/{_quoted(market)}/image", body=body)
        )

    async def show_lifecycle(self, market: str, *, limit: int | None = None) -> Lifecycle:
        """Get a market's life and its next deadline.

        List the steps in the chain's order, and deadlines by the current configuration, as the program computes them.
        """
        return cast(
            "Lifecycle",
            await self._transport.request("GET", f"/api/markets/{_quoted(market)}/lifecycle", query={"limit": limit}),
        )

    async def set_market_metadata(self, market: str, **body: Unpack[NewMetadata]) -> MetadataResult:
        """Set a market's metadata.

        Store the metadata, before or after the market is created; only the creator's is accepted or shown. A market
        that was created with a content id accepts only exactly the text of that document. The path needs the market's
        id of 64 hexadecimal digits.
        """
        return cast(
            "MetadataResult",
            await self._transport.request("POST", f"/api/markets/{_quoted(market)}/metadata", body=body),
        )

    async def show_price_history(self, market: str, *, limit: int | None = None) -> PriceHistory:
        """Get a market's price per trade.

        Return YES and NO in percent: 50 to 50 at creation, then the newest trades, the latest last.
        """
        return cast(
            "PriceHistory",
            await self._transport.request(
                "GET", f"/api/markets/{_quoted(market)}/price-history", query={"limit": limit}
            ),
        )

    async def show_quote(
        self,
        market: str,
        *,
        outcome: Literal["YES", "NO"],
        side: Literal["buy", "sell"] | None = None,
        target_cost: str | None = None,
        shares: str | None = None,
    ) -> Quote:
        """Calculate a trade's price.

        Compute the trade, exact to the lamport by the program's own maths, or the error with which it would refuse.
        `side=buy` needs `target_cost`, `side=sell` needs `shares`. `smallest` is the least amount that would work.
        """
        return cast(
            "Quote",
            await self._transport.request(
                "GET",
                f"/api/markets/{_quoted(market)}/quote",
                query={"outcome": outcome, "side": side, "target_cost": target_cost, "shares": shares},
            ),
        )

    async def batch_quotes(self, market: str, **body: Unpack[QuoteBatchRequest]) -> QuoteBatch:
        """Calculate the prices of several trades.

        Calculate trades of one market from one state of it, each as if it were the next one. A trade that the program
        would refuse has its refusal in the result, as with GET .../quote.
        """
        return cast(
            "QuoteBatch", await self._transport.request("POST", f"/api/markets/{_quoted(market)}/quotes", body=body)
        )

    async def list_related(self, market: str, *, limit: int | None = None) -> RelatedMarkets:
        """List similar markets.

        List the newest ACTIVE markets, those of the same category first; empty if the market is not known.
        """
        return cast(
            "RelatedMarkets",
            await self._transport.request("GET", f"/api/markets/{_quoted(market)}/related", query={"limit": limit}),
        )

    async def resolve_market(self, market: str, **body: Unpack[ResolveMarket]) -> UnsignedOnMarket:
        """Build a proposed outcome to sign.

        Return a proposal of an outcome; anyone may propose one for an active market, once.
        """
        return cast(
            "UnsignedOnMarket",
            await self._transport.request("POST", f"/api/markets/{_quoted(market)}/resolve", body=body),
        )

    async def show_market_stats(self, market: str) -> MarketStats:
        """Get a market's trading totals.

        Return volumes in lamports, and the numbers of trades and traders.
        """
        return cast("MarketStats", await self._transport.request("GET", f"/api/markets/{_quoted(market)}/stats"))

    async def list_market_trades(
        self, market: str, *, limit: int | None = None, offset: int | None = None, cursor: str | None = None
    ) -> MarketTradePage:
        """List a market's trades.

        List trades, the latest on chain first.
        """
        return cast(
            "MarketTradePage",
            await self._transport.request(
                "GET",
                f"/api/markets/{_quoted(market)}/trades",
                query={"limit": limit, "offset": offset, "cursor": cursor},
            ),
        )

    async def vote_on_proposal(self, market: str, **body: Unpack[VoteOnProposal]) -> UnsignedOnMarket | CastVotes:
        """Build a proposal vote to sign.

        Return a vote on chain to sign (with a token), or cast a ballot at once (with an older proof, LEGACY_AUTH).
        """
        return cast(
            "UnsignedOnMarket | CastVotes",
            await self._transport.request("POST", f"/api/markets/{_quoted(market)}/vote", body=body),
        )

    async def list_market_votes(
        self,
        market: str,
        *,
        type: Literal["proposal", "dispute"] | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> MarketVotes:
        """List a market's ballots and its tally.

        List ballots, the latest first; for disputes, likes and dislikes mean agree and disagree.
        """
        return cast(
            "MarketVotes",
            await self._transport.request(
                "GET", f"/api/markets/{_quoted(market)}/votes", query={"type": type, "limit": limit, "offset": offset}
            ),
        )

    async def moderate_event(self, slug: str, **body: Unpack[EventDecision]) -> Decided:
        """Decide about an event.

        Hide or restore an event, not its markets; the decision is public. For moderators only.
        """
        return cast(
            "Decided", await self._transport.request("POST", f"/api/moderation/events/{_quoted(slug)}", body=body)
        )

    async def moderate_image(self, digest: str, **body: Unpack[ImageDecision]) -> Decided:
        """Decide about an image.

        Hide, restore or erase an image, wherever it is shown; the decision is public. For moderators only. Copies in
        browsers and proxies stay until they expire there: the address of an image never changes.
        """
        return cast(
            "Decided", await self._transport.request("POST", f"/api/moderation/images/{_quoted(digest)}", body=body)
        )

    async def list_moderation_log(self, *, before: int | None = None, limit: int | None = None) -> ModerationLog:
        """List decisions of moderators.

        List decisions with their reasons, the newest first; everybody can read them.
        """
        return cast(
            "ModerationLog",
            await self._transport.request("GET", "/api/moderation/log", query={"before": before, "limit": limit}),
        )

    async def moderate_post(self, name: str, **body: Unpack[PostDecision]) -> Decided:
        """Decide about a post.

        Hide, restore or erase a post, or dismiss its reports; the decision is public. For moderators only. A hidden
        post is in no response and no message; hiding the first post of a thread hides the thread. Erasing removes its
        text and earlier texts for good; their digests stay in the log.
        """
        return cast(
            "Decided", await self._transport.request("POST", f"/api/moderation/posts/{_quoted(name)}", body=body)
        )

    async def show_moderation_queue(self, *, limit: int | None = None, cursor: str | None = None) -> ModerationQueue:
        """List reported posts.

        List posts with reports that no decision has followed yet, the most reported first; for moderators only. A
        post that is reported while you read moves up, and may be missing on a later page: read the first page again.
        """
        return cast(
            "ModerationQueue",
            await self._transport.request("GET", "/api/moderation/queue", query={"limit": limit, "cursor": cursor}),
        )

    async def moderate_wallet(self, wallet: str, **body: Unpack[WalletDecision]) -> Decided:
        """Ban a wallet, or lift its ban.

        Ban a wallet from posting, rating, reporting and describing, or lift its ban. For moderators only. The wallet
        can still trade, vote, sign in, read and follow streams, and delete its own posts.
        """
        return cast(
            "Decided", await self._transport.request("POST", f"/api/moderation/wallets/{_quoted(wallet)}", body=body)
        )

    async def batch_positions(self, **body: Unpack[PositionBatchRequest]) -> PositionBatch:
        """Get positions of several wallets.

        Return each wallet's positions in the order of the request, in one snapshot; all of it is public chain data.
        """
        return cast("PositionBatch", await self._transport.request("POST", "/api/positions/batch", body=body))

    async def list_positions_legacy(
        self, wallet: str, *, limit: int | None = None, offset: int | None = None
    ) -> list[UserPosition]:
        """List a wallet's positions, or 404.

        Return the same array as /api/users/{wallet}/positions, but 404 for a wallet without any position.
        """
        return cast(
            "list[UserPosition]",
            await self._transport.request(
                "GET", f"/api/positions/{_quoted(wallet)}", query={"limit": limit, "offset": offset}
            ),
        )

    async def show_protocol(self) -> Protocol:
        """Get the program's configuration.

        Return each field's value from the newest event that sets it, and which event that is.
        """
        return cast("Protocol", await self._transport.request("GET", "/api/protocol"))

    async def list_sql_queries(self) -> SqlConsole:
        """List the named queries and the limits of SQL.

        List example queries by name, the allowed functions, and the limits.
        """
        return cast("SqlConsole", await self._transport.request("GET", "/api/sql"))

    async def run_sql(self, **body: Unpack[SqlQuery]) -> SqlAnswer:
        """Run an SQL query.

        Run one SELECT as the role analyst, read-only, for at most two seconds; return JSON or CSV. Disabled unless
        the server was started with ANALYST_SQL.
        """
        return cast("SqlAnswer", await self._transport.request("POST", "/api/sql", body=body))

    async def show_platform(self) -> Platform:
        """Get the platform's totals.

        Return trades, traders, fees and open interest by period.
        """
        return cast("Platform", await self._transport.request("GET", "/api/stats"))

    async def status(self) -> Status:
        """Get the state of the log and its marts.

        Return position, lag, stale marts, dead letters, open alerts, and how far completeness is proven. Everybody
        sees the kinds and counts of alerts, and the state of each mart. The texts of alerts and errors name
        signatures, hosts and reasons, so they are for operators: METRICS_TOKEN, or the access token of a wallet of
        OPERATOR_WALLETS, as a bearer token.
        """
        return cast("Status", await self._transport.request("GET", "/api/status"))

    async def list_trades(
        self,
        *,
        market_id: str | None = None,
        wallet: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
        cursor: str | None = None,
    ) -> TradePage | MarketTradePage | WalletTradePage:
        """List trades.

        List trades, the latest on chain first; of all markets and wallets, or filtered.
        """
        return cast(
            "TradePage | MarketTradePage | WalletTradePage",
            await self._transport.request(
                "GET",
                "/api/trades",
                query={"market_id": market_id, "wallet": wallet, "limit": limit, "offset": offset, "cursor": cursor},
            ),
        )

    async def buy_shares(self, **body: Unpack[BuyShares]) -> UnsignedTrade:
        """Build a purchase to sign.

        Return a purchase to sign. The most you pay is fixed, but you may get fewer shares if others trade first.
        """
        return cast("UnsignedTrade", await self._transport.request("POST", "/api/trades/buy", body=body))

    async def sell_shares(self, **body: Unpack[SellShares]) -> UnsignedTrade:
        """Build a sale to sign.

        Return a sale to sign. The program as deployed on public clusters cannot execute any sale; there the
        simulation fails with its error.
        """
        return cast("UnsignedTrade", await self._transport.request("POST", "/api/trades/sell", body=body))

    async def relay_transaction(self, **body: Unpack[SignedTransaction]) -> RelayedTransaction:
        """Send a signed transaction.

        Simulate and send a transaction, which may contain only instructions of this program and ComputeBudget. If the
        same bytes are sent again, the response contains the transaction's current status. With the
        `last_valid_block_height` of the prepared transaction, one that can no longer land has the status expired:
        nothing happened, and it is safe to prepare and sign another one. Without it, the response is a 409
        (blockhash_unknown).
        """
        return cast("RelayedTransaction", await self._transport.request("POST", "/api/transactions", body=body))

    async def follow_transaction(
        self, signature: str, *, last_valid_block_height: int | None = None
    ) -> TransactionStatus:
        """Get the status of a transaction.

        Return the status from the log, else from the chain; 404 while neither knows the transaction.
        """
        return cast(
            "TransactionStatus",
            await self._transport.request(
                "GET",
                f"/api/transactions/{_quoted(signature)}",
                query={"last_valid_block_height": last_valid_block_height},
            ),
        )

    async def show_me(self) -> Wallet:
        """Get the signed-in wallet.

        Return the wallet's counts, the same as in the public /api/users/{wallet}.
        """
        return cast("Wallet", await self._transport.request("GET", "/api/users/me"))

    async def set_profile(self, **body: Unpack[NewProfile]) -> Profile:
        """Set your profile.

        Replace the public profile of the signed-in wallet, and return it.
        """
        return cast("Profile", await self._transport.request("PATCH", "/api/users/me", body=body))

    async def get_statement(self, *, first_day: str | None = None, last_day: str | None = None) -> bytes:
        """Get the signed-in wallet's statement.

        Return trades and payouts as CSV, the oldest first, with exact amounts; at most 50,000 lines.
        `amount_lamports` and `amount_sol` are what the wallet received; a payment is negative and includes the fees.
        Shares and SOL have nine decimals. `fees_are_exact` is false where the chain does not decide between two fees.
        Network fees are not in it.
        """
        return cast(
            "bytes",
            await self._transport.request(
                "GET", "/api/users/me/statement.csv", query={"first_day": first_day, "last_day": last_day}
            ),
        )

    async def show_wallet(self, wallet: str) -> Wallet:
        """Get a wallet's counts.

        Return how often the wallet traded, voted and posted; zeros for an unknown wallet.
        """
        return cast("Wallet", await self._transport.request("GET", f"/api/users/{_quoted(wallet)}"))

    async def list_wallet_activity(
        self, wallet: str, *, limit: int | None = None, cursor: str | None = None
    ) -> WalletActivity:
        """List a wallet's events.

        List every event in which the wallet acted, the latest on chain first.
        """
        return cast(
            "WalletActivity",
            await self._transport.request(
                "GET", f"/api/users/{_quoted(wallet)}/activity", query={"limit": limit, "cursor": cursor}
            ),
        )

    async def show_pnl_history(self, wallet: str, *, limit: int | None = None) -> PnlHistory:
        """Get a wallet's profit by day.

        List realized profit and its running sum by day in UTC; empty for a wallet without any.
        """
        return cast(
            "PnlHistory",
            await self._transport.request("GET", f"/api/users/{_quoted(wallet)}/pnl-history", query={"limit": limit}),
        )

    async def show_portfolio(self, wallet: str, *, limit: int | None = None, offset: int | None = None) -> Portfolio:
        """List a wallet's positions with their profit.

        Return positions, the latest traded first, and sums over all of them; empty for a wallet without any.
        """
        return cast(
            "Portfolio",
            await self._transport.request(
                "GET", f"/api/users/{_quoted(wallet)}/portfolio", query={"limit": limit, "offset": offset}
            ),
        )

    async def list_positions(
        self, wallet: str, *, limit: int | None = None, offset: int | None = None
    ) -> list[UserPosition]:
        """List a wallet's positions.

        Return an array, the latest traded first; empty for a wallet without any.
        """
        return cast(
            "list[UserPosition]",
            await self._transport.request(
                "GET", f"/api/users/{_quoted(wallet)}/positions", query={"limit": limit, "offset": offset}
            ),
        )

    async def show_position(self, wallet: str, market: str) -> OnePosition:
        """Get a wallet's position in one market.

        Return one position; 404 if the wallet never traded in the market.
        """
        return cast(
            "OnePosition",
            await self._transport.request("GET", f"/api/users/{_quoted(wallet)}/positions/{_quoted(market)}"),
        )

    async def show_profile(self, wallet: str) -> Profile:
        """Get a wallet's profile.

        Return the name and text that the wallet has chosen; null for a wallet that has chosen none.
        """
        return cast("Profile", await self._transport.request("GET", f"/api/users/{_quoted(wallet)}/profile"))

    async def show_wallet_stats(self, wallet: str) -> WalletStats:
        """Get the result of a wallet's trading.

        Return sums over the wallet's positions, valued as in its portfolio; zeros for a wallet without any.
        """
        return cast("WalletStats", await self._transport.request("GET", f"/api/users/{_quoted(wallet)}/stats"))

    async def list_wallet_trades(
        self, wallet: str, *, limit: int | None = None, offset: int | None = None, cursor: str | None = None
    ) -> WalletTradePage:
        """List a wallet's trades.

        List trades, the latest on chain first.
        """
        return cast(
            "WalletTradePage",
            await self._transport.request(
                "GET",
                f"/api/users/{_quoted(wallet)}/trades",
                query={"limit": limit, "offset": offset, "cursor": cursor},
            ),
        )

    async def list_wallet_votes(
        self,
        wallet: str,
        *,
        type: Literal["all", "proposal", "dispute"] | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> WalletVotes:
        """List a wallet's ballots.

        List ballots of both kinds from the chain and the API, the latest first; `limit` and `offset` apply per kind.
        """
        return cast(
            "WalletVotes",
            await self._transport.request(
                "GET", f"/api/users/{_quoted(wallet)}/votes", query={"type": type, "limit": limit, "offset": offset}
            ),
        )

    async def cast_dispute_ballot(self, **body: Unpack[CastBallot]) -> CastVotes:
        """Cast a ballot on a dispute.

        Cast one ballot per wallet; true agrees with the dispute, and so votes against the proposed outcome.
        """
        return cast("CastVotes", await self._transport.request("POST", "/api/votes/dispute", body=body))

    async def count_dispute_votes(self, market: str) -> DisputeCounts:
        """Get a dispute's tally.

        Return the tally in the earlier vote aggregator's format; GET /api/votes/{market} has both kinds.
        """
        return cast("DisputeCounts", await self._transport.request("GET", f"/api/votes/dispute/{_quoted(market)}"))

    async def cast_named_dispute_ballot(self, market: str, **body: Unpack[DisputeBallot]) -> RecordedBallot:
        """Cast a ballot on the dispute in the path.

        Cast a ballot in the earlier vote aggregator's format; proof and rules are those of POST /api/votes/dispute.
        """
        return cast(
            "RecordedBallot", await self._transport.request("POST", f"/api/votes/dispute/{_quoted(market)}", body=body)
        )

    async def show_ballot_text(
        self, *, market_id: str, kind: Literal["proposal", "dispute"], vote: bool, wallet: str
    ) -> BallotText:
        """Get the text to sign for a ballot.

        Return a text with its own nonce, valid for five minutes and one ballot.
        """
        return cast(
            "BallotText",
            await self._transport.request(
                "GET",
                "/api/votes/message",
                query={"market_id": market_id, "kind": kind, "vote": vote, "wallet": wallet},
            ),
        )

    async def cast_proposal_ballot(self, **body: Unpack[CastBallot]) -> CastVotes:
        """Cast a ballot on a proposal.

        Cast one ballot per wallet; a second ballot, or one in addition to a vote on chain, returns 409.
        """
        return cast("CastVotes", await self._transport.request("POST", "/api/votes/proposal", body=body))

    async def count_proposal_votes(self, market: str) -> ProposalCounts:
        """Get a proposal's tally.

        Return the tally in the earlier vote aggregator's format; GET /api/votes/{market} has both kinds.
        """
        return cast("ProposalCounts", await self._transport.request("GET", f"/api/votes/proposal/{_quoted(market)}"))

    async def cast_named_proposal_ballot(self, market: str, **body: Unpack[ProposalBallot]) -> RecordedBallot:
        """Cast a ballot on the proposal in the path.

        Cast a ballot in the earlier vote aggregator's format; proof and rules are those of POST /api/votes/proposal.
        """
        return cast(
            "RecordedBallot", await self._transport.request("POST", f"/api/votes/proposal/{_quoted(market)}", body=body)
        )

    async def count_votes(self, market: str) -> VoteCounts:
        """Get a market's tallies.

        Return both tallies: ballots cast on chain and in the API, each wallet once.
        """
        return cast("VoteCounts", await self._transport.request("GET", f"/api/votes/{_quoted(market)}"))

    async def health(self) -> Health:
        """Check that the process runs.

        Report only liveness; /ready reports whether requests can be answered.
        """
        return cast("Health", await self._transport.request("GET", "/health"))

    async def ready(self) -> Readiness:
        """Check that requests can be answered.

        Return 200, or 503 with reasons.
        """
        return cast("Readiness", await self._transport.request("GET", "/ready"))
