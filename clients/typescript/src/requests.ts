/** Every call of the API. Written by clients/generate.py from the specification; change that instead. */

import type * as types from "./types.js";

/** Carries a call. */
export interface Transport {
  request(method: string, path: string, options?: { query?: object; body?: unknown }): Promise<unknown>;
}

/** One method a call; `Zmart` is what to use. */
export class Requests {
  constructor(private readonly transport: Transport) {}

  /**
   * Sign out.
   *
   * End the session of this refresh token. Access tokens it gave out, and streams opened with them, live
   * their fifteen minutes to the end.
   */
  async signOut(body: types.RefreshToken): Promise<types.SignOutResult> {
    return (await this.transport.request("POST", `/api/auth/logout`, { body })) as types.SignOutResult;
  }

  /**
   * What to sign.
   *
   * Begin here: the fields for Sign-In With Solana, good for five minutes and one signing in.
   */
  async showNonce(query: { wallet?: string } = {}): Promise<types.NonceToSign> {
    return (await this.transport.request("GET", `/api/auth/nonce`, { query })) as types.NonceToSign;
  }

  /**
   * Stay signed in.
   *
   * Exchange a refresh token for the next pair. Using one twice ends the session.
   */
  async refreshSession(body: types.RefreshToken): Promise<types.Session> {
    return (await this.transport.request("POST", `/api/auth/refresh`, { body })) as types.Session;
  }

  /**
   * A pass for one stream.
   *
   * For EventSource and WebSocket in browsers, which send no headers: sixty seconds, one use. The topic `me`
   * that it opens ends when the access token does that asked for it, at most fifteen minutes later.
   */
  async issueTicket(): Promise<types.Ticket> {
    return (await this.transport.request("POST", `/api/auth/ticket`)) as types.Ticket;
  }

  /**
   * Sign in.
   *
   * Exchange a signed text for tokens. Every field of the text is compared; its nonce is used up.
   */
  async signIn(body: types.SignedMessage): Promise<types.Session> {
    return (await this.transport.request("POST", `/api/auth/verify`, { body })) as types.Session;
  }

  /**
   * Post.
   *
   * The same, with the market in the body.
   */
  async postDiscussion(body: types.NewMarketPost): Promise<types.PostResult> {
    return (await this.transport.request("POST", `/api/discussions`, { body })) as types.PostResult;
  }

  /**
   * Delete one's own post.
   *
   * It says nothing any more; replies to it stay.
   */
  async deleteDiscussion(name: string): Promise<types.Ack> {
    return (await this.transport.request("DELETE", `/api/discussions/${encodeURIComponent(name)}`)) as types.Ack;
  }

  /**
   * All posts under a market.
   *
   * Every post by itself, the newest first, deleted ones left out.
   */
  async listDiscussions(name: string, query: { limit?: number; offset?: number; cursor?: string } = {}): Promise<types.Discussions> {
    return (await this.transport.request("GET", `/api/discussions/${encodeURIComponent(name)}`, { query })) as types.Discussions;
  }

  /**
   * Edit one's own post.
   *
   * What it said before is kept and can be read.
   */
  async editDiscussion(name: string, body: types.ChangedPost): Promise<types.PostResult> {
    return (await this.transport.request("PATCH", `/api/discussions/${encodeURIComponent(name)}`, { body })) as types.PostResult;
  }

  /**
   * What a post said before.
   *
   * Its history, the latest edit first.
   */
  async listEdits(name: string): Promise<types.Edits> {
    return (await this.transport.request("GET", `/api/discussions/${encodeURIComponent(name)}/edits`)) as types.Edits;
  }

  /**
   * Report a post.
   *
   * Once a wallet. How many reported it is shown, who did is not.
   */
  async flagDiscussion(name: string, body: types.PostReport): Promise<types.Ack> {
    return (await this.transport.request("POST", `/api/discussions/${encodeURIComponent(name)}/flag`, { body })) as types.Ack;
  }

  /**
   * A thread's replies.
   *
   * In the order in which they were made; for the next page give the last one's id as `after`.
   */
  async listReplies(name: string, query: { after?: string; limit?: number } = {}): Promise<types.Replies> {
    return (await this.transport.request("GET", `/api/discussions/${encodeURIComponent(name)}/replies`, { query })) as types.Replies;
  }

  /**
   * Say up or down of a post.
   *
   * One opinion a wallet; another replaces it, null takes it back.
   */
  async voteOnDiscussion(name: string, body: types.Reaction): Promise<types.PostResult> {
    return (await this.transport.request("POST", `/api/discussions/${encodeURIComponent(name)}/vote`, { body })) as types.PostResult;
  }

  /**
   * A document by its content id.
   *
   * Only documents that a market or a snapshot refers to, fetched from the configured gateway. What the
   * gateway sends is hashed and compared with the content id; other bytes are refused (503). So are files
   * that were not added in the default way of `ipfs add` (chunks of 256 KiB, no raw leaves), which cannot be
   * compared.
   */
  async showDocument(cid: string): Promise<Uint8Array> {
    return (await this.transport.request("GET", `/api/ipfs/${encodeURIComponent(cid)}`)) as Uint8Array;
  }

  /**
   * Who did best.
   *
   * Wallets by realized profit, volume, trades, or share of decided positions won.
   */
  async showLeaderboard(query: { period?: "24h" | "7d" | "30d" | "all"; by?: "profit" | "volume" | "trades" | "win_rate"; limit?: number; offset?: number } = {}): Promise<types.Leaderboard> {
    return (await this.transport.request("GET", `/api/leaderboard`, { query })) as types.Leaderboard;
  }

  /**
   * Markets, a page at a time.
   *
   * List the markets whose creation is known.
   */
  async listMarkets(query: { state?: string; category?: "politics" | "sports" | "crypto" | "science" | "entertainment" | "other"; creator?: string; q?: string; sort?: "newest" | "oldest" | "volume" | "liquidity" | "trades" | "price_high" | "price_low" | "contested" | "last_trade" | "activity"; limit?: number; offset?: number; cursor?: string } = {}): Promise<types.MarketPage> {
    return (await this.transport.request("GET", `/api/markets`, { query })) as types.MarketPage;
  }

  /**
   * A market to sign.
   *
   * The words are kept for you at once, and shown when the market that anchors them exists.
   */
  async createMarket(body: types.CreateMarket): Promise<types.UnsignedMarket> {
    return (await this.transport.request("POST", `/api/markets`, { body })) as types.UnsignedMarket;
  }

  /**
   * What happened lately.
   *
   * The latest first by the chain's clock; a mixture of trades, resolutions and creations, or one of them.
   */
  async listNewestActivity(query: { type?: "trade" | "resolution" | "creation"; limit?: number } = {}): Promise<types.NewestActivities> {
    return (await this.transport.request("GET", `/api/markets/activity`, { query })) as types.NewestActivities;
  }

  /**
   * The largest categories.
   *
   * At most five; `trend` is the growth in the week up to the newest event.
   */
  async listCategories(): Promise<types.Categories> {
    return (await this.transport.request("GET", `/api/markets/categories`)) as types.Categories;
  }

  /**
   * The markets that are traded most.
   *
   * ACTIVE markets by volume and traders of the day up to the newest event, by the chain's clock.
   */
  async listTrending(query: { limit?: number } = {}): Promise<types.TrendingMarkets> {
    return (await this.transport.request("GET", `/api/markets/trending`, { query })) as types.TrendingMarkets;
  }

  /**
   * One market.
   *
   * The whole row, without a wrapper.
   */
  async showMarket(market: string): Promise<types.Market> {
    return (await this.transport.request("GET", `/api/markets/${encodeURIComponent(market)}`)) as types.Market;
  }

  /**
   * What happened in a market.
   *
   * Every event of the market, the latest on chain first.
   */
  async listMarketActivity(market: string, query: { limit?: number; cursor?: string } = {}): Promise<types.MarketActivity> {
    return (await this.transport.request("GET", `/api/markets/${encodeURIComponent(market)}/activity`, { query })) as types.MarketActivity;
  }

  /**
   * A market's candles.
   *
   * The newest candles of a window, the latest last; for older ones give the first `bucket_at` as `to`.
   */
  async listCandles(market: string, query: { interval?: string; from?: string; to?: string; limit?: number; fill?: boolean } = {}): Promise<types.Candles> {
    return (await this.transport.request("GET", `/api/markets/${encodeURIComponent(market)}/candles`, { query })) as types.Candles;
  }

  /**
   * A claim to sign.
   *
   * What a finalized market owes the wallet: its share of the pool, or its stake back.
   */
  async claimWinnings(market: string): Promise<types.UnsignedOnMarket> {
    return (await this.transport.request("POST", `/api/markets/${encodeURIComponent(market)}/claim`)) as types.UnsignedOnMarket;
  }

  /**
   * What is said under a market.
   *
   * Threads, the newest first, each with its first replies; or all posts by themselves.
   */
  async listMarketDiscussions(market: string, query: { view?: "threads" | "all"; replies?: number; limit?: number; offset?: number; cursor?: string } = {}): Promise<types.Threads | types.Discussions> {
    return (await this.transport.request("GET", `/api/markets/${encodeURIComponent(market)}/discussions`, { query })) as types.Threads | types.Discussions;
  }

  /**
   * Post under a market.
   *
   * Say something, or answer another post of the market (`parent_id`).
   */
  async postUnderMarket(market: string, body: types.NewPost): Promise<types.PostResult> {
    return (await this.transport.request("POST", `/api/markets/${encodeURIComponent(market)}/discussions`, { body })) as types.PostResult;
  }

  /**
   * A dispute to sign.
   *
   * Anyone may dispute a proposed outcome until the dispute period is over.
   */
  async disputeMarket(market: string): Promise<types.UnsignedOnMarket> {
    return (await this.transport.request("POST", `/api/markets/${encodeURIComponent(market)}/dispute`)) as types.UnsignedOnMarket;
  }

  /**
   * A vote on a dispute to sign.
   *
   * A transaction that votes on chain. The older proofs are not enough to vote on a dispute.
   */
  async voteOnDispute(market: string, body: types.VoteOnDispute): Promise<types.UnsignedOnMarket> {
    return (await this.transport.request("POST", `/api/markets/${encodeURIComponent(market)}/dispute/vote`, { body })) as types.UnsignedOnMarket;
  }

  /**
   * A market's holders.
   *
   * The largest first, by shares of the side or of both together.
   */
  async listHolders(market: string, query: { side?: "YES" | "NO"; limit?: number; cursor?: string } = {}): Promise<types.Holders> {
    return (await this.transport.request("GET", `/api/markets/${encodeURIComponent(market)}/holders`, { query })) as types.Holders;
  }

  /**
   * A market's life and its next deadline.
   *
   * The steps in the order of the chain; deadlines by the configuration in force now, as the program reads
   * it.
   */
  async showLifecycle(market: string, query: { limit?: number } = {}): Promise<types.Lifecycle> {
    return (await this.transport.request("GET", `/api/markets/${encodeURIComponent(market)}/lifecycle`, { query })) as types.Lifecycle;
  }

  /**
   * Tell what a market is about.
   *
   * As its creator, before or after the market is created; others are refused, or never shown. A market that
   * was created with a content id takes exactly the words of that document. Named by its 64-hex id.
   */
  async setMarketMetadata(market: string, body: types.NewMetadata): Promise<types.MetadataResult> {
    return (await this.transport.request("POST", `/api/markets/${encodeURIComponent(market)}/metadata`, { body })) as types.MetadataResult;
  }

  /**
   * A market's price, trade by trade.
   *
   * Percent of YES and NO: 50 to 50 at creation, then the newest trades, the latest last.
   */
  async showPriceHistory(market: string, query: { limit?: number } = {}): Promise<types.PriceHistory> {
    return (await this.transport.request("GET", `/api/markets/${encodeURIComponent(market)}/price-history`, { query })) as types.PriceHistory;
  }

  /**
   * What a trade would do.
   *
   * Exact to the lamport by the program's own maths, or how the program would refuse. `side=buy` needs
   * `target_cost`, `side=sell` needs `shares`. `smallest` is the least that would work.
   */
  async showQuote(market: string, query: { outcome: "YES" | "NO"; side?: "buy" | "sell"; target_cost?: string; shares?: string }): Promise<types.Quote> {
    return (await this.transport.request("GET", `/api/markets/${encodeURIComponent(market)}/quote`, { query })) as types.Quote;
  }

  /**
   * Markets like another.
   *
   * Of the newest ACTIVE markets, those of the same category first. A market nobody knows has none.
   */
  async listRelated(market: string, query: { limit?: number } = {}): Promise<types.RelatedMarkets> {
    return (await this.transport.request("GET", `/api/markets/${encodeURIComponent(market)}/related`, { query })) as types.RelatedMarkets;
  }

  /**
   * A proposed outcome to sign.
   *
   * Anyone may propose the outcome of an active market, once; others may dispute it.
   */
  async resolveMarket(market: string, body: types.ResolveMarket): Promise<types.UnsignedOnMarket> {
    return (await this.transport.request("POST", `/api/markets/${encodeURIComponent(market)}/resolve`, { body })) as types.UnsignedOnMarket;
  }

  /**
   * A market's trading in sums.
   *
   * Volumes in lamports, trades and traders.
   */
  async showMarketStats(market: string): Promise<types.MarketStats> {
    return (await this.transport.request("GET", `/api/markets/${encodeURIComponent(market)}/stats`)) as types.MarketStats;
  }

  /**
   * A market's trades.
   *
   * List trades, the latest on chain first.
   */
  async listMarketTrades(market: string, query: { limit?: number; offset?: number; cursor?: string } = {}): Promise<types.MarketTradePage> {
    return (await this.transport.request("GET", `/api/markets/${encodeURIComponent(market)}/trades`, { query })) as types.MarketTradePage;
  }

  /**
   * A vote on a proposal to sign.
   *
   * With a token: a transaction that votes on chain. With an older proof (LEGACY_AUTH): a ballot, cast at
   * once.
   */
  async voteOnProposal(market: string, body: types.VoteOnProposal): Promise<types.UnsignedOnMarket | types.CastVotes> {
    return (await this.transport.request("POST", `/api/markets/${encodeURIComponent(market)}/vote`, { body })) as types.UnsignedOnMarket | types.CastVotes;
  }

  /**
   * A market's ballots and tally.
   *
   * List ballots, the latest first; likes and dislikes stand for agree and disagree too.
   */
  async listMarketVotes(market: string, query: { type?: "proposal" | "dispute"; limit?: number; offset?: number } = {}): Promise<types.MarketVotes> {
    return (await this.transport.request("GET", `/api/markets/${encodeURIComponent(market)}/votes`, { query })) as types.MarketVotes;
  }

  /**
   * A wallet's positions, or 404.
   *
   * The same array; a wallet without any position is not found.
   */
  async listPositionsLegacy(wallet: string, query: { limit?: number; offset?: number } = {}): Promise<types.UserPosition[]> {
    return (await this.transport.request("GET", `/api/positions/${encodeURIComponent(wallet)}`, { query })) as types.UserPosition[];
  }

  /**
   * The program's configuration.
   *
   * Each field as the newest event that says it says, and which event that is.
   */
  async showProtocol(): Promise<types.Protocol> {
    return (await this.transport.request("GET", `/api/protocol`)) as types.Protocol;
  }

  /**
   * What SQL can be asked.
   *
   * Worked queries by name, the functions that may be called, and the bounds.
   */
  async listSqlQueries(): Promise<types.SqlConsole> {
    return (await this.transport.request("GET", `/api/sql`)) as types.SqlConsole;
  }

  /**
   * Ask in SQL.
   *
   * One SELECT as the role analyst, reading only, two seconds at most; as JSON or CSV. Off unless the server
   * was started with ANALYST_SQL.
   */
  async runSql(body: types.SqlQuery): Promise<types.SqlAnswer> {
    return (await this.transport.request("POST", `/api/sql`, { body })) as types.SqlAnswer;
  }

  /**
   * The platform in sums.
   *
   * Trades, traders, fees and open interest by period.
   */
  async showPlatform(): Promise<types.Platform> {
    return (await this.transport.request("GET", `/api/stats`)) as types.Platform;
  }

  /**
   * How the log and its marts are doing.
   *
   * Position, lag, stale marts, dead letters, and what is proven of completeness.
   */
  async status(): Promise<types.Status> {
    return (await this.transport.request("GET", `/api/status`)) as types.Status;
  }

  /**
   * Trades, a page at a time.
   *
   * List trades, the latest on chain first, of everyone or as filtered.
   */
  async listTrades(query: { market_id?: string; wallet?: string; limit?: number; offset?: number; cursor?: string } = {}): Promise<types.TradePage | types.MarketTradePage | types.WalletTradePage> {
    return (await this.transport.request("GET", `/api/trades`, { query })) as types.TradePage | types.MarketTradePage | types.WalletTradePage;
  }

  /**
   * A purchase to sign.
   *
   * What you pay at most is certain, what it buys is not, should others trade first.
   */
  async buyShares(body: types.BuyShares): Promise<types.UnsignedTrade> {
    return (await this.transport.request("POST", `/api/trades/buy`, { body })) as types.UnsignedTrade;
  }

  /**
   * A sale to sign.
   *
   * The deployed program cannot carry out any sale; where that is so, the trial says it.
   */
  async sellShares(body: types.SellShares): Promise<types.UnsignedTrade> {
    return (await this.transport.request("POST", `/api/trades/sell`, { body })) as types.UnsignedTrade;
  }

  /**
   * Pass a signed transaction on.
   *
   * Ours and ComputeBudget's instructions only, tried out first. The same bytes again are answered with how
   * far they have come.
   */
  async relayTransaction(body: types.SignedTransaction): Promise<types.RelayedTransaction> {
    return (await this.transport.request("POST", `/api/transactions`, { body })) as types.RelayedTransaction;
  }

  /**
   * How far a transaction has come.
   *
   * By the log where it has it, else by the chain. 404 where neither knows it: not yet, or never.
   */
  async followTransaction(signature: string): Promise<types.TransactionStatus> {
    return (await this.transport.request("GET", `/api/transactions/${encodeURIComponent(signature)}`)) as types.TransactionStatus;
  }

  /**
   * The wallet that is signed in.
   *
   * In counts, as /api/users/{wallet} shows it to everybody.
   */
  async showMe(): Promise<types.Wallet> {
    return (await this.transport.request("GET", `/api/users/me`)) as types.Wallet;
  }

  /**
   * A wallet in counts.
   *
   * How often it traded, voted and posted; zeros for a wallet that nobody has met.
   */
  async showWallet(wallet: string): Promise<types.Wallet> {
    return (await this.transport.request("GET", `/api/users/${encodeURIComponent(wallet)}`)) as types.Wallet;
  }

  /**
   * What a wallet did.
   *
   * Every event in which the wallet acted, the latest on chain first.
   */
  async listWalletActivity(wallet: string, query: { limit?: number; cursor?: string } = {}): Promise<types.WalletActivity> {
    return (await this.transport.request("GET", `/api/users/${encodeURIComponent(wallet)}/activity`, { query })) as types.WalletActivity;
  }

  /**
   * What a wallet made, day by day.
   *
   * Realized profit and its sum, by days in UTC; empty for a wallet without any.
   */
  async showPnlHistory(wallet: string, query: { limit?: number } = {}): Promise<types.PnlHistory> {
    return (await this.transport.request("GET", `/api/users/${encodeURIComponent(wallet)}/pnl-history`, { query })) as types.PnlHistory;
  }

  /**
   * A wallet's positions with their profit.
   *
   * Positions, the latest traded first, and sums over all of them; empty for a wallet without any.
   */
  async showPortfolio(wallet: string, query: { limit?: number; offset?: number } = {}): Promise<types.Portfolio> {
    return (await this.transport.request("GET", `/api/users/${encodeURIComponent(wallet)}/portfolio`, { query })) as types.Portfolio;
  }

  /**
   * A wallet's positions.
   *
   * An array, the latest traded first; empty for a wallet without any.
   */
  async listPositions(wallet: string, query: { limit?: number; offset?: number } = {}): Promise<types.UserPosition[]> {
    return (await this.transport.request("GET", `/api/users/${encodeURIComponent(wallet)}/positions`, { query })) as types.UserPosition[];
  }

  /**
   * A wallet's position in one market.
   *
   * One position, or 404 when the wallet never traded there.
   */
  async showPosition(wallet: string, market: string): Promise<types.OnePosition> {
    return (await this.transport.request("GET", `/api/users/${encodeURIComponent(wallet)}/positions/${encodeURIComponent(market)}`)) as types.OnePosition;
  }

  /**
   * What a wallet's trading came to.
   *
   * Sums over its positions, valued as in its portfolio; zeros for a wallet without any.
   */
  async showWalletStats(wallet: string): Promise<types.WalletStats> {
    return (await this.transport.request("GET", `/api/users/${encodeURIComponent(wallet)}/stats`)) as types.WalletStats;
  }

  /**
   * A wallet's trades.
   *
   * List trades, the latest on chain first.
   */
  async listWalletTrades(wallet: string, query: { limit?: number; offset?: number; cursor?: string } = {}): Promise<types.WalletTradePage> {
    return (await this.transport.request("GET", `/api/users/${encodeURIComponent(wallet)}/trades`, { query })) as types.WalletTradePage;
  }

  /**
   * A wallet's ballots.
   *
   * Ballots of both kinds, cast on chain or here, the latest first; `limit` and `offset` count in each kind.
   */
  async listWalletVotes(wallet: string, query: { type?: "all" | "proposal" | "dispute"; limit?: number; offset?: number } = {}): Promise<types.WalletVotes> {
    return (await this.transport.request("GET", `/api/users/${encodeURIComponent(wallet)}/votes`, { query })) as types.WalletVotes;
  }

  /**
   * Cast a ballot on a dispute.
   *
   * true agrees with the dispute, and so against the proposed outcome. One ballot per wallet.
   */
  async castDisputeBallot(body: types.CastBallot): Promise<types.CastVotes> {
    return (await this.transport.request("POST", `/api/votes/dispute`, { body })) as types.CastVotes;
  }

  /**
   * A dispute's tally.
   *
   * As the earlier vote aggregator told it; GET /api/votes/{market} has both kinds.
   */
  async countDisputeVotes(market: string): Promise<types.DisputeCounts> {
    return (await this.transport.request("GET", `/api/votes/dispute/${encodeURIComponent(market)}`)) as types.DisputeCounts;
  }

  /**
   * Cast a ballot on the dispute named here.
   *
   * The earlier vote aggregator's words for POST /api/votes/dispute: the same proof, the same rules.
   */
  async castNamedDisputeBallot(market: string, body: types.DisputeBallot): Promise<types.RecordedBallot> {
    return (await this.transport.request("POST", `/api/votes/dispute/${encodeURIComponent(market)}`, { body })) as types.RecordedBallot;
  }

  /**
   * What to sign for a ballot.
   *
   * A text with a nonce of its own, good for five minutes and one ballot.
   */
  async showBallotText(query: { market_id: string; kind: "proposal" | "dispute"; vote: boolean; wallet: string }): Promise<types.BallotText> {
    return (await this.transport.request("GET", `/api/votes/message`, { query })) as types.BallotText;
  }

  /**
   * Cast a ballot on a proposal.
   *
   * One ballot per wallet; the second is 409, and so is one beside a vote on chain.
   */
  async castProposalBallot(body: types.CastBallot): Promise<types.CastVotes> {
    return (await this.transport.request("POST", `/api/votes/proposal`, { body })) as types.CastVotes;
  }

  /**
   * A proposal's tally.
   *
   * As the earlier vote aggregator told it; GET /api/votes/{market} has both kinds.
   */
  async countProposalVotes(market: string): Promise<types.ProposalCounts> {
    return (await this.transport.request("GET", `/api/votes/proposal/${encodeURIComponent(market)}`)) as types.ProposalCounts;
  }

  /**
   * Cast a ballot on the proposal named here.
   *
   * The earlier vote aggregator's words for POST /api/votes/proposal: the same proof, the same rules.
   */
  async castNamedProposalBallot(market: string, body: types.ProposalBallot): Promise<types.RecordedBallot> {
    return (await this.transport.request("POST", `/api/votes/proposal/${encodeURIComponent(market)}`, { body })) as types.RecordedBallot;
  }

  /**
   * A market's tallies.
   *
   * Both tallies at once: ballots cast on chain and here, each wallet once.
   */
  async countVotes(market: string): Promise<types.VoteCounts> {
    return (await this.transport.request("GET", `/api/votes/${encodeURIComponent(market)}`)) as types.VoteCounts;
  }

  /**
   * The process is there.
   *
   * Liveness only; /ready says whether it can serve.
   */
  async health(): Promise<types.Health> {
    return (await this.transport.request("GET", `/health`)) as types.Health;
  }

  /**
   * Whether requests can be answered.
   *
   * 200, or 503 with reasons.
   */
  async ready(): Promise<types.Readiness> {
    return (await this.transport.request("GET", `/ready`)) as types.Readiness;
  }

}
