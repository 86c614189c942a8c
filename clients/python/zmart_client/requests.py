"""Every call of the API.

Written by clients/generate.py from the specification; change that instead.
"""

from __future__ import annotations

from typing import Any, Literal, Unpack, cast
from typing import Protocol as Structure
from urllib.parse import quote

from .types import (
    Ack,
    BallotText,
    BuyShares,
    Candles,
    CastBallot,
    CastVotes,
    Categories,
    ChangedPost,
    CreateMarket,
    Discussions,
    DisputeBallot,
    DisputeCounts,
    Edits,
    Health,
    Holders,
    Leaderboard,
    Lifecycle,
    Market,
    MarketActivity,
    MarketPage,
    MarketStats,
    MarketTradePage,
    MarketVotes,
    MetadataResult,
    NewestActivities,
    NewMarketPost,
    NewMetadata,
    NewPost,
    NonceToSign,
    OnePosition,
    Platform,
    PnlHistory,
    Portfolio,
    PostReport,
    PostResult,
    PriceHistory,
    ProposalBallot,
    ProposalCounts,
    Protocol,
    Quote,
    Reaction,
    Readiness,
    RecordedBallot,
    RefreshToken,
    RelatedMarkets,
    RelayedTransaction,
    Replies,
    ResolveMarket,
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
    WalletStats,
    WalletTradePage,
    WalletVotes,
)


def _quoted(text: str) -> str:
    return quote(text, safe="")


class Transport(Structure):
    """Carries a call."""

    async def request(self, method: str, path: str, *, query: dict[str, Any] | None = None, body: Any = None) -> Any:
        """The body of the answer: JSON read, or bytes."""
        ...


class Requests:
    """One method a call; `Zmart` is what to use."""

    _transport: Transport

    async def sign_out(self, **body: Unpack[RefreshToken]) -> SignOutResult:
        """Sign out.

        End the session of this refresh token. Access tokens it gave out, and streams opened with them, live their
        fifteen minutes to the end.
        """
        return cast("SignOutResult", await self._transport.request("POST", "/api/auth/logout", body=body))

    async def show_nonce(self, *, wallet: str | None = None) -> NonceToSign:
        """What to sign.

        Begin here: the fields for Sign-In With Solana, good for five minutes and one signing in.
        """
        return cast("NonceToSign", await self._transport.request("GET", "/api/auth/nonce", query={"wallet": wallet}))

    async def refresh_session(self, **body: Unpack[RefreshToken]) -> Session:
        """Stay signed in.

        Exchange a refresh token for the next pair. Using one twice ends the session.
        """
        return cast("Session", await self._transport.request("POST", "/api/auth/refresh", body=body))

    async def issue_ticket(self) -> Ticket:
        """A pass for one stream.

        For EventSource and WebSocket in browsers, which send no headers: sixty seconds, one use. The topic `me` that
        it opens ends when the access token does that asked for it, at most fifteen minutes later.
        """
        return cast("Ticket", await self._transport.request("POST", "/api/auth/ticket"))

    async def sign_in(self, **body: Unpack[SignedMessage]) -> Session:
        """Sign in.

        Exchange a signed text for tokens. Every field of the text is compared; its nonce is used up.
        """
        return cast("Session", await self._transport.request("POST", "/api/auth/verify", body=body))

    async def post_discussion(self, **body: Unpack[NewMarketPost]) -> PostResult:
        """Post.

        The same, with the market in the body.
        """
        return cast("PostResult", await self._transport.request("POST", "/api/discussions", body=body))

    async def delete_discussion(self, name: str) -> Ack:
        """Delete one's own post.

        It says nothing any more; replies to it stay.
        """
        return cast("Ack", await self._transport.request("DELETE", f"/api/discussions/{_quoted(name)}"))

    async def list_discussions(
        self, name: str, *, limit: int | None = None, offset: int | None = None, cursor: str | None = None
    ) -> Discussions:
        """All posts under a market.

        Every post by itself, the newest first, deleted ones left out.
        """
        return cast(
            "Discussions",
            await self._transport.request(
                "GET", f"/api/discussions/{_quoted(name)}", query={"limit": limit, "offset": offset, "cursor": cursor}
            ),
        )

    async def edit_discussion(self, name: str, **body: Unpack[ChangedPost]) -> PostResult:
        """Edit one's own post.

        What it said before is kept and can be read.
        """
        return cast(
            "PostResult", await self._transport.request("PATCH", f"/api/discussions/{_quoted(name)}", body=body)
        )

    async def list_edits(self, name: str) -> Edits:
        """What a post said before.

        Its history, the latest edit first.
        """
        return cast("Edits", await self._transport.request("GET", f"/api/discussions/{_quoted(name)}/edits"))

    async def flag_discussion(self, name: str, **body: Unpack[PostReport]) -> Ack:
        """Report a post.

        Once a wallet. How many reported it is shown, who did is not.
        """
        return cast("Ack", await self._transport.request("POST", f"/api/discussions/{_quoted(name)}/flag", body=body))

    async def list_replies(self, name: str, *, after: str | None = None, limit: int | None = None) -> Replies:
        """A thread's replies.

        In the order in which they were made; for the next page give the last one's id as `after`.
        """
        return cast(
            "Replies",
            await self._transport.request(
                "GET", f"/api/discussions/{_quoted(name)}/replies", query={"after": after, "limit": limit}
            ),
        )

    async def vote_on_discussion(self, name: str, **body: Unpack[Reaction]) -> PostResult:
        """Say up or down of a post.

        One opinion a wallet; another replaces it, null takes it back.
        """
        return cast(
            "PostResult", await self._transport.request("POST", f"/api/discussions/{_quoted(name)}/vote", body=body)
        )

    async def show_document(self, cid: str) -> bytes:
        """A document by its content id.

        Only documents that a market or a snapshot refers to, fetched from the configured gateway. What the gateway
        sends is hashed and compared with the content id; other bytes are refused (503). So are files that were not
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
        """Who did best.

        Wallets by realized profit, volume, trades, or share of decided positions won.
        """
        return cast(
            "Leaderboard",
            await self._transport.request(
                "GET", "/api/leaderboard", query={"period": period, "by": by, "limit": limit, "offset": offset}
            ),
        )

    async def list_markets(
        self,
        *,
        state: str | None = None,
        category: Literal["politics", "sports", "crypto", "science", "entertainment", "other"] | None = None,
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
        """Markets, a page at a time.

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
        """A market to sign.

        The words are kept for you at once, and shown when the market that anchors them exists.
        """
        return cast("UnsignedMarket", await self._transport.request("POST", "/api/markets", body=body))

    async def list_newest_activity(
        self, *, type: Literal["trade", "resolution", "creation"] | None = None, limit: int | None = None
    ) -> NewestActivities:
        """What happened lately.

        The latest first by the chain's clock; a mixture of trades, resolutions and creations, or one of them.
        """
        return cast(
            "NewestActivities",
            await self._transport.request("GET", "/api/markets/activity", query={"type": type, "limit": limit}),
        )

    async def list_categories(self) -> Categories:
        """The largest categories.

        At most five; `trend` is the growth in the week up to the newest event.
        """
        return cast("Categories", await self._transport.request("GET", "/api/markets/categories"))

    async def list_trending(self, *, limit: int | None = None) -> TrendingMarkets:
        """The markets that are traded most.

        ACTIVE markets by volume and traders of the day up to the newest event, by the chain's clock.
        """
        return cast(
            "TrendingMarkets", await self._transport.request("GET", "/api/markets/trending", query={"limit": limit})
        )

    async def show_market(self, market: str) -> Market:
        """One market.

        The whole row, without a wrapper.
        """
        return cast("Market", await self._transport.request("GET", f"/api/markets/{_quoted(market)}"))

    async def list_market_activity(
        self, market: str, *, limit: int | None = None, cursor: str | None = None
    ) -> MarketActivity:
        """What happened in a market.

        Every event of the market, the latest on chain first.
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
        """A market's candles.

        The newest candles of a window, the latest last; for older ones give the first `bucket_at` as `to`.
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
        """A claim to sign.

        What a finalized market owes the wallet: its share of the pool, or its stake back.
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
        """What is said under a market.

        Threads, the newest first, each with its first replies; or all posts by themselves.
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
        """Post under a market.

        Say something, or answer another post of the market (`parent_id`).
        """
        return cast(
            "PostResult",
            await self._transport.request("POST", f"/api/markets/{_quoted(market)}/discussions", body=body),
        )

    async def dispute_market(self, market: str) -> UnsignedOnMarket:
        """A dispute to sign.

        Anyone may dispute a proposed outcome until the dispute period is over.
        """
        return cast(
            "UnsignedOnMarket", await self._transport.request("POST", f"/api/markets/{_quoted(market)}/dispute")
        )

    async def vote_on_dispute(self, market: str, **body: Unpack[VoteOnDispute]) -> UnsignedOnMarket:
        """A vote on a dispute to sign.

        A transaction that votes on chain. The older proofs are not enough to vote on a dispute.
        """
        return cast(
            "UnsignedOnMarket",
            await self._transport.request("POST", f"/api/markets/{_quoted(market)}/dispute/vote", body=body),
        )

    async def list_holders(
        self,
        market: str,
        *,
        side: Literal["YES", "NO"] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Holders:
        """A market's holders.

        The largest first, by shares of the side or of both together.
        """
        return cast(
            "Holders",
            await self._transport.request(
                "GET", f"/api/markets/{_quoted(market)}/holders", query={"side": side, "limit": limit, "cursor": cursor}
            ),
        )

    async def show_lifecycle(self, market: str, *, limit: int | None = None) -> Lifecycle:
        """A market's life and its next deadline.

        The steps in the order of the chain; deadlines by the configuration in force now, as the program reads it.
        """
        return cast(
            "Lifecycle",
            await self._transport.request("GET", f"/api/markets/{_quoted(market)}/lifecycle", query={"limit": limit}),
        )

    async def set_market_metadata(self, market: str, **body: Unpack[NewMetadata]) -> MetadataResult:
        """Tell what a market is about.

        As its creator, before or after the market is created; others are refused, or never shown. A market that was
        created with a content id takes exactly the words of that document. Named by its 64-hex id.
        """
        return cast(
            "MetadataResult",
            await self._transport.request("POST", f"/api/markets/{_quoted(market)}/metadata", body=body),
        )

    async def show_price_history(self, market: str, *, limit: int | None = None) -> PriceHistory:
        """A market's price, trade by trade.

        Percent of YES and NO: 50 to 50 at creation, then the newest trades, the latest last.
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
        """What a trade would do.

        Exact to the lamport by the program's own maths, or how the program would refuse. `side=buy` needs
        `target_cost`, `side=sell` needs `shares`. `smallest` is the least that would work.
        """
        return cast(
            "Quote",
            await self._transport.request(
                "GET",
                f"/api/markets/{_quoted(market)}/quote",
                query={"outcome": outcome, "side": side, "target_cost": target_cost, "shares": shares},
            ),
        )

    async def list_related(self, market: str, *, limit: int | None = None) -> RelatedMarkets:
        """Markets like another.

        Of the newest ACTIVE markets, those of the same category first. A market nobody knows has none.
        """
        return cast(
            "RelatedMarkets",
            await self._transport.request("GET", f"/api/markets/{_quoted(market)}/related", query={"limit": limit}),
        )

    async def resolve_market(self, market: str, **body: Unpack[ResolveMarket]) -> UnsignedOnMarket:
        """A proposed outcome to sign.

        Anyone may propose the outcome of an active market, once; others may dispute it.
        """
        return cast(
            "UnsignedOnMarket",
            await self._transport.request("POST", f"/api/markets/{_quoted(market)}/resolve", body=body),
        )

    async def show_market_stats(self, market: str) -> MarketStats:
        """A market's trading in sums.

        Volumes in lamports, trades and traders.
        """
        return cast("MarketStats", await self._transport.request("GET", f"/api/markets/{_quoted(market)}/stats"))

    async def list_market_trades(
        self, market: str, *, limit: int | None = None, offset: int | None = None, cursor: str | None = None
    ) -> MarketTradePage:
        """A market's trades.

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
        """A vote on a proposal to sign.

        With a token: a transaction that votes on chain. With an older proof (LEGACY_AUTH): a ballot, cast at once.
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
        """A market's ballots and tally.

        List ballots, the latest first; likes and dislikes stand for agree and disagree too.
        """
        return cast(
            "MarketVotes",
            await self._transport.request(
                "GET", f"/api/markets/{_quoted(market)}/votes", query={"type": type, "limit": limit, "offset": offset}
            ),
        )

    async def list_positions_legacy(
        self, wallet: str, *, limit: int | None = None, offset: int | None = None
    ) -> list[UserPosition]:
        """A wallet's positions, or 404.

        The same array; a wallet without any position is not found.
        """
        return cast(
            "list[UserPosition]",
            await self._transport.request(
                "GET", f"/api/positions/{_quoted(wallet)}", query={"limit": limit, "offset": offset}
            ),
        )

    async def show_protocol(self) -> Protocol:
        """The program's configuration.

        Each field as the newest event that says it says, and which event that is.
        """
        return cast("Protocol", await self._transport.request("GET", "/api/protocol"))

    async def list_sql_queries(self) -> SqlConsole:
        """What SQL can be asked.

        Worked queries by name, the functions that may be called, and the bounds.
        """
        return cast("SqlConsole", await self._transport.request("GET", "/api/sql"))

    async def run_sql(self, **body: Unpack[SqlQuery]) -> SqlAnswer:
        """Ask in SQL.

        One SELECT as the role analyst, reading only, two seconds at most; as JSON or CSV. Off unless the server was
        started with ANALYST_SQL.
        """
        return cast("SqlAnswer", await self._transport.request("POST", "/api/sql", body=body))

    async def show_platform(self) -> Platform:
        """The platform in sums.

        Trades, traders, fees and open interest by period.
        """
        return cast("Platform", await self._transport.request("GET", "/api/stats"))

    async def status(self) -> Status:
        """How the log and its marts are doing.

        Position, lag, stale marts, dead letters, and what is proven of completeness.
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
        """Trades, a page at a time.

        List trades, the latest on chain first, of everyone or as filtered.
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
        """A purchase to sign.

        What you pay at most is certain, what it buys is not, should others trade first.
        """
        return cast("UnsignedTrade", await self._transport.request("POST", "/api/trades/buy", body=body))

    async def sell_shares(self, **body: Unpack[SellShares]) -> UnsignedTrade:
        """A sale to sign.

        The deployed program cannot carry out any sale; where that is so, the trial says it.
        """
        return cast("UnsignedTrade", await self._transport.request("POST", "/api/trades/sell", body=body))

    async def relay_transaction(self, **body: Unpack[SignedTransaction]) -> RelayedTransaction:
        """Pass a signed transaction on.

        Ours and ComputeBudget's instructions only, tried out first. The same bytes again are answered with how far
        they have come.
        """
        return cast("RelayedTransaction", await self._transport.request("POST", "/api/transactions", body=body))

    async def follow_transaction(self, signature: str) -> TransactionStatus:
        """How far a transaction has come.

        By the log where it has it, else by the chain. 404 where neither knows it: not yet, or never.
        """
        return cast(
            "TransactionStatus", await self._transport.request("GET", f"/api/transactions/{_quoted(signature)}")
        )

    async def show_me(self) -> Wallet:
        """The wallet that is signed in.

        In counts, as /api/users/{wallet} shows it to everybody.
        """
        return cast("Wallet", await self._transport.request("GET", "/api/users/me"))

    async def show_wallet(self, wallet: str) -> Wallet:
        """A wallet in counts.

        How often it traded, voted and posted; zeros for a wallet that nobody has met.
        """
        return cast("Wallet", await self._transport.request("GET", f"/api/users/{_quoted(wallet)}"))

    async def list_wallet_activity(
        self, wallet: str, *, limit: int | None = None, cursor: str | None = None
    ) -> WalletActivity:
        """What a wallet did.

        Every event in which the wallet acted, the latest on chain first.
        """
        return cast(
            "WalletActivity",
            await self._transport.request(
                "GET", f"/api/users/{_quoted(wallet)}/activity", query={"limit": limit, "cursor": cursor}
            ),
        )

    async def show_pnl_history(self, wallet: str, *, limit: int | None = None) -> PnlHistory:
        """What a wallet made, day by day.

        Realized profit and its sum, by days in UTC; empty for a wallet without any.
        """
        return cast(
            "PnlHistory",
            await self._transport.request("GET", f"/api/users/{_quoted(wallet)}/pnl-history", query={"limit": limit}),
        )

    async def show_portfolio(self, wallet: str, *, limit: int | None = None, offset: int | None = None) -> Portfolio:
        """A wallet's positions with their profit.

        Positions, the latest traded first, and sums over all of them; empty for a wallet without any.
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
        """A wallet's positions.

        An array, the latest traded first; empty for a wallet without any.
        """
        return cast(
            "list[UserPosition]",
            await self._transport.request(
                "GET", f"/api/users/{_quoted(wallet)}/positions", query={"limit": limit, "offset": offset}
            ),
        )

    async def show_position(self, wallet: str, market: str) -> OnePosition:
        """A wallet's position in one market.

        One position, or 404 when the wallet never traded there.
        """
        return cast(
            "OnePosition",
            await self._transport.request("GET", f"/api/users/{_quoted(wallet)}/positions/{_quoted(market)}"),
        )

    async def show_wallet_stats(self, wallet: str) -> WalletStats:
        """What a wallet's trading came to.

        Sums over its positions, valued as in its portfolio; zeros for a wallet without any.
        """
        return cast("WalletStats", await self._transport.request("GET", f"/api/users/{_quoted(wallet)}/stats"))

    async def list_wallet_trades(
        self, wallet: str, *, limit: int | None = None, offset: int | None = None, cursor: str | None = None
    ) -> WalletTradePage:
        """A wallet's trades.

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
        """A wallet's ballots.

        Ballots of both kinds, cast on chain or here, the latest first; `limit` and `offset` count in each kind.
        """
        return cast(
            "WalletVotes",
            await self._transport.request(
                "GET", f"/api/users/{_quoted(wallet)}/votes", query={"type": type, "limit": limit, "offset": offset}
            ),
        )

    async def cast_dispute_ballot(self, **body: Unpack[CastBallot]) -> CastVotes:
        """Cast a ballot on a dispute.

        true agrees with the dispute, and so against the proposed outcome. One ballot per wallet.
        """
        return cast("CastVotes", await self._transport.request("POST", "/api/votes/dispute", body=body))

    async def count_dispute_votes(self, market: str) -> DisputeCounts:
        """A dispute's tally.

        As the earlier vote aggregator told it; GET /api/votes/{market} has both kinds.
        """
        return cast("DisputeCounts", await self._transport.request("GET", f"/api/votes/dispute/{_quoted(market)}"))

    async def cast_named_dispute_ballot(self, market: str, **body: Unpack[DisputeBallot]) -> RecordedBallot:
        """Cast a ballot on the dispute named here.

        The earlier vote aggregator's words for POST /api/votes/dispute: the same proof, the same rules.
        """
        return cast(
            "RecordedBallot", await self._transport.request("POST", f"/api/votes/dispute/{_quoted(market)}", body=body)
        )

    async def show_ballot_text(
        self, *, market_id: str, kind: Literal["proposal", "dispute"], vote: bool, wallet: str
    ) -> BallotText:
        """What to sign for a ballot.

        A text with a nonce of its own, good for five minutes and one ballot.
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

        One ballot per wallet; the second is 409, and so is one beside a vote on chain.
        """
        return cast("CastVotes", await self._transport.request("POST", "/api/votes/proposal", body=body))

    async def count_proposal_votes(self, market: str) -> ProposalCounts:
        """A proposal's tally.

        As the earlier vote aggregator told it; GET /api/votes/{market} has both kinds.
        """
        return cast("ProposalCounts", await self._transport.request("GET", f"/api/votes/proposal/{_quoted(market)}"))

    async def cast_named_proposal_ballot(self, market: str, **body: Unpack[ProposalBallot]) -> RecordedBallot:
        """Cast a ballot on the proposal named here.

        The earlier vote aggregator's words for POST /api/votes/proposal: the same proof, the same rules.
        """
        return cast(
            "RecordedBallot", await self._transport.request("POST", f"/api/votes/proposal/{_quoted(market)}", body=body)
        )

    async def count_votes(self, market: str) -> VoteCounts:
        """A market's tallies.

        Both tallies at once: ballots cast on chain and here, each wallet once.
        """
        return cast("VoteCounts", await self._transport.request("GET", f"/api/votes/{_quoted(market)}"))

    async def health(self) -> Health:
        """The process is there.

        Liveness only; /ready says whether it can serve.
        """
        return cast("Health", await self._transport.request("GET", "/health"))

    async def ready(self) -> Readiness:
        """Whether requests can be answered.

        200, or 503 with reasons.
        """
        return cast("Readiness", await self._transport.request("GET", "/ready"))
