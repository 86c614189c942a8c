/** Every call of the API. Written by clients/generate.py from the specification; change that instead. */

import type * as types from "./types.js";

/** What a call sends; an idempotent one may be sent again. */
export interface RequestOptions {
  query?: object;
  body?: unknown;
  isIdempotent?: boolean;
}

/** Carries a call. */
export interface Transport {
  request(method: string, path: string, options?: RequestOptions): Promise<unknown>;
}

/** One method a call; `Zmart` is what to use. */
export class Requests {
  constructor(private readonly transport: Transport) {}

  /**
   * List the API keys of the wallet.
   *
   * Return the newest 100 keys, also those that were revoked, without the keys themselves.
   */
  async listApiKeys(): Promise<types.ApiKeys> {
    return (await this.transport.request("GET", `/api/account/keys`)) as types.ApiKeys;
  }

  /**
   * Create an API key.
   *
   * Create a key for a program: it is sent as `Authorization: Bearer`, like an access token, and needs no
   * renewal. The key is in this response only. A key cannot manage keys or sessions, and cannot open tickets.
   */
  async createApiKey(body: types.NewApiKey): Promise<types.CreatedApiKey> {
    return (await this.transport.request("POST", `/api/account/keys`, { body })) as types.CreatedApiKey;
  }

  /**
   * Revoke an API key.
   *
   * Revoke a key. Its streams end, and every process refuses it, within seconds. A second call changes
   * nothing.
   */
  async revokeApiKey(key_id: string): Promise<types.RevokedApiKey> {
    return (await this.transport.request("DELETE", `/api/account/keys/${encodeURIComponent(key_id)}`)) as types.RevokedApiKey;
  }

  /**
   * Get the limits of the caller.
   *
   * Return what the caller may ask, after this request. `x-cost` of each operation is what a call takes of
   * it. Send an access token or an API key to see the limits of its wallet. Each response names its own cost
   * in `RateLimit-Cost`.
   */
  async showLimits(): Promise<types.AccountLimits> {
    return (await this.transport.request("GET", `/api/account/limits`)) as types.AccountLimits;
  }

  /**
   * Sign out.
   *
   * End the session of this refresh token. Access tokens of the session, and streams opened with them, stay
   * valid until their fifteen minutes are over.
   */
  async signOut(body: types.RefreshToken): Promise<types.SignOutResult> {
    return (await this.transport.request("POST", `/api/auth/logout`, { body })) as types.SignOutResult;
  }

  /**
   * Get a text to sign for sign-in.
   *
   * Return the fields for Sign-In With Solana, valid for five minutes and one sign-in. Sign-in starts here.
   */
  async showNonce(query: { wallet?: string } = {}): Promise<types.NonceToSign> {
    return (await this.transport.request("GET", `/api/auth/nonce`, { query })) as types.NonceToSign;
  }

  /**
   * Refresh a session.
   *
   * Exchange a refresh token for the next pair of tokens. A second use of one ends the session.
   */
  async refreshSession(body: types.RefreshToken): Promise<types.Session> {
    return (await this.transport.request("POST", `/api/auth/refresh`, { body })) as types.Session;
  }

  /**
   * Create a ticket for one stream.
   *
   * Issue a single-use ticket, valid for sixty seconds, for EventSource and WebSocket, which send no headers.
   * The topic `me` that it opens ends when the access token of this request expires, at most fifteen minutes
   * later.
   */
  async issueTicket(): Promise<types.Ticket> {
    return (await this.transport.request("POST", `/api/auth/ticket`)) as types.Ticket;
  }

  /**
   * Sign in.
   *
   * Exchange a signed text for tokens. Every field of the text is checked, and its nonce is single use.
   */
  async signIn(body: types.SignedMessage): Promise<types.Session> {
    return (await this.transport.request("POST", `/api/auth/verify`, { body })) as types.Session;
  }

  /**
   * Get candles of several markets.
   *
   * Return the newest candles of the same window for each market, in the order of the request, in one
   * snapshot.
   */
  async batchCandles(body: types.CandleBatchRequest): Promise<types.CandleBatch> {
    return (await this.transport.request("POST", `/api/candles/batch`, { body })) as types.CandleBatch;
  }

  /**
   * Create a post.
   *
   * Create a post or a reply, with the market in the body.
   */
  async postDiscussion(body: types.NewMarketPost): Promise<types.PostResult> {
    return (await this.transport.request("POST", `/api/discussions`, { body, isIdempotent: true })) as types.PostResult;
  }

  /**
   * Delete your own post.
   *
   * Delete the post's text; replies to it stay.
   */
  async deleteDiscussion(name: string): Promise<types.Ack> {
    return (await this.transport.request("DELETE", `/api/discussions/${encodeURIComponent(name)}`)) as types.Ack;
  }

  /**
   * List all posts under a market.
   *
   * List every post individually, the newest first, without deleted ones.
   */
  async listDiscussions(name: string, query: { limit?: number; offset?: number; cursor?: string } = {}): Promise<types.Discussions> {
    return (await this.transport.request("GET", `/api/discussions/${encodeURIComponent(name)}`, { query })) as types.Discussions;
  }

  /**
   * Edit your own post.
   *
   * Replace the post's text. Its earlier text is stored and can be read.
   */
  async editDiscussion(name: string, body: types.ChangedPost): Promise<types.PostResult> {
    return (await this.transport.request("PATCH", `/api/discussions/${encodeURIComponent(name)}`, { body })) as types.PostResult;
  }

  /**
   * List earlier texts of a post.
   *
   * List the post's earlier versions, the latest edit first.
   */
  async listEdits(name: string): Promise<types.Edits> {
    return (await this.transport.request("GET", `/api/discussions/${encodeURIComponent(name)}/edits`)) as types.Edits;
  }

  /**
   * Report a post.
   *
   * Report the post, once per wallet. The number of reports is shown, but not the wallets.
   */
  async flagDiscussion(name: string, body: types.PostReport): Promise<types.Ack> {
    return (await this.transport.request("POST", `/api/discussions/${encodeURIComponent(name)}/flag`, { body })) as types.Ack;
  }

  /**
   * List a thread's replies.
   *
   * List replies in the order of their creation; for the next page, send the last one's id as `after`.
   */
  async listReplies(name: string, query: { after?: string; limit?: number } = {}): Promise<types.Replies> {
    return (await this.transport.request("GET", `/api/discussions/${encodeURIComponent(name)}/replies`, { query })) as types.Replies;
  }

  /**
   * Rate a post up or down.
   *
   * Set the wallet's reaction. There is one per wallet; another one replaces it, null removes it.
   */
  async voteOnDiscussion(name: string, body: types.Reaction): Promise<types.PostResult> {
    return (await this.transport.request("POST", `/api/discussions/${encodeURIComponent(name)}/vote`, { body })) as types.PostResult;
  }

  /**
   * List events.
   *
   * List events, the newest first. An event is a title with markets that belong together.
   */
  async listEvents(query: { before?: number; limit?: number } = {}): Promise<types.EventGroupPage> {
    return (await this.transport.request("GET", `/api/events`, { query })) as types.EventGroupPage;
  }

  /**
   * Make an event.
   *
   * Put markets under one title: your own ones, or any as a moderator.
   */
  async createEvent(body: types.NewEventGroup): Promise<types.EventGroupResult> {
    return (await this.transport.request("POST", `/api/events`, { body, isIdempotent: true })) as types.EventGroupResult;
  }

  /**
   * Delete an event.
   *
   * Delete an event, not its markets; for the wallet that made it and moderators.
   */
  async deleteEvent(slug: string): Promise<types.EventGroupResult> {
    return (await this.transport.request("DELETE", `/api/events/${encodeURIComponent(slug)}`)) as types.EventGroupResult;
  }

  /**
   * Get an event with its markets.
   *
   * Return an event and the rows of its markets in their order, all from one snapshot.
   */
  async showEvent(slug: string): Promise<types.EventGroupWithMarkets> {
    return (await this.transport.request("GET", `/api/events/${encodeURIComponent(slug)}`)) as types.EventGroupWithMarkets;
  }

  /**
   * Replace an event.
   *
   * Replace title, text and markets of an event; for the wallet that made it and moderators. A new title
   * gives a new slug, and the earlier one keeps leading to the event.
   */
  async replaceEvent(slug: string, body: types.NewEventGroup): Promise<types.EventGroupResult> {
    return (await this.transport.request("PUT", `/api/events/${encodeURIComponent(slug)}`, { body })) as types.EventGroupResult;
  }

  /**
   * List exported files.
   *
   * List published segments of Parquet files with their digests, the oldest first. Each file was read back
   * and compared before its segment was published. The same files can be imported by `zmart replay`, which
   * computes the chain and the marts again.
   */
  async listExports(query: { dataset?: "log" | "marts"; after?: number; limit?: number } = {}): Promise<types.Exports> {
    return (await this.transport.request("GET", `/api/exports`, { query })) as types.Exports;
  }

  /**
   * Get an exported file.
   *
   * Return the file, or redirect (307) to a signed address of its store, which is valid for an hour.
   */
  async getExportedFile(path: string): Promise<Uint8Array> {
    return (await this.transport.request("GET", `/api/exports/files/${encodeURIComponent(path)}`)) as Uint8Array;
  }

  /**
   * Get an image.
   *
   * Return the bytes of an image that a market shows, as image/png, image/jpeg or image/webp. They never
   * change, so browsers and proxies may keep them.
   */
  async showImage(digest: string): Promise<Uint8Array> {
    return (await this.transport.request("GET", `/api/images/${encodeURIComponent(digest)}`)) as Uint8Array;
  }

  /**
   * Get a document by its content id.
   *
   * Return a document that a market or a snapshot refers to, fetched from the configured gateway. The
   * gateway's bytes are hashed and compared with the content id; other bytes are rejected (503). So are files
   * that were not added in the default way of `ipfs add` (chunks of 256 KiB, no raw leaves), which cannot be
   * compared.
   */
  async showDocument(cid: string): Promise<Uint8Array> {
    return (await this.transport.request("GET", `/api/ipfs/${encodeURIComponent(cid)}`)) as Uint8Array;
  }

  /**
   * List the best wallets.
   *
   * List wallets by realized profit, volume, trades, or share of decided positions won.
   */
  async showLeaderboard(query: { period?: "24h" | "7d" | "30d" | "all"; by?: "profit" | "volume" | "trades" | "win_rate"; limit?: number; offset?: number } = {}): Promise<types.Leaderboard> {
    return (await this.transport.request("GET", `/api/leaderboard`, { query })) as types.Leaderboard;
  }

  /**
   * Get a market by its slug.
   *
   * Return the market that has or had a slug; its `slug` is the current one.
   */
  async showMarketBySlug(slug: string): Promise<types.Market> {
    return (await this.transport.request("GET", `/api/market-slugs/${encodeURIComponent(slug)}`)) as types.Market;
  }

  /**
   * List markets.
   *
   * List the markets whose creation is known.
   */
  async listMarkets(query: { state?: string; category?: string; creator?: string; q?: string; sort?: "newest" | "oldest" | "volume" | "liquidity" | "trades" | "price_high" | "price_low" | "contested" | "last_trade" | "activity"; limit?: number; offset?: number; cursor?: string } = {}): Promise<types.MarketPage> {
    return (await this.transport.request("GET", `/api/markets`, { query })) as types.MarketPage;
  }

  /**
   * Build the creation of a market to sign.
   *
   * Return a market to sign. Its text is stored at once and shown when the market exists.
   */
  async createMarket(body: types.CreateMarket): Promise<types.UnsignedMarket> {
    return (await this.transport.request("POST", `/api/markets`, { body, isIdempotent: true })) as types.UnsignedMarket;
  }

  /**
   * List recent events.
   *
   * List the latest first by the chain's clock: a mixture of trades, resolutions and creations, or one type.
   */
  async listNewestActivity(query: { type?: "trade" | "resolution" | "creation"; limit?: number } = {}): Promise<types.NewestActivities> {
    return (await this.transport.request("GET", `/api/markets/activity`, { query })) as types.NewestActivities;
  }

  /**
   * Get up to 100 markets.
   *
   * Return markets in the order of the request, with their newest prices and your own positions, in one
   * snapshot. The positions are those of the wallet of the access token or API key; without one there are
   * none.
   */
  async batchMarkets(body: types.MarketBatchRequest): Promise<types.MarketBatch> {
    return (await this.transport.request("POST", `/api/markets/batch`, { body })) as types.MarketBatch;
  }

  /**
   * List the largest categories.
   *
   * List at most five categories; `trend` is the growth in the week up to the newest event.
   */
  async listCategories(): Promise<types.Categories> {
    return (await this.transport.request("GET", `/api/markets/categories`)) as types.Categories;
  }

  /**
   * List the most traded markets.
   *
   * List ACTIVE markets by volume and traders of the day up to the newest event, by the chain's clock.
   */
  async listTrending(query: { limit?: number } = {}): Promise<types.TrendingMarkets> {
    return (await this.transport.request("GET", `/api/markets/trending`, { query })) as types.TrendingMarkets;
  }

  /**
   * Get a market.
   *
   * Return the whole row, without a wrapper.
   */
  async showMarket(market: string): Promise<types.Market> {
    return (await this.transport.request("GET", `/api/markets/${encodeURIComponent(market)}`)) as types.Market;
  }

  /**
   * List a market's events.
   *
   * List every event of the market, the latest on chain first.
   */
  async listMarketActivity(market: string, query: { limit?: number; cursor?: string } = {}): Promise<types.MarketActivity> {
    return (await this.transport.request("GET", `/api/markets/${encodeURIComponent(market)}/activity`, { query })) as types.MarketActivity;
  }

  /**
   * Get a market's candles.
   *
   * List the newest candles of a window, the latest last; for older ones, send the first `bucket_at` as `to`.
   */
  async listCandles(market: string, query: { interval?: string; from?: string; to?: string; limit?: number; fill?: boolean } = {}): Promise<types.Candles> {
    return (await this.transport.request("GET", `/api/markets/${encodeURIComponent(market)}/candles`, { query })) as types.Candles;
  }

  /**
   * Build a claim to sign.
   *
   * Return a claim of the wallet's share of a finalized market's pool, or of its stake.
   */
  async claimWinnings(market: string): Promise<types.UnsignedOnMarket> {
    return (await this.transport.request("POST", `/api/markets/${encodeURIComponent(market)}/claim`)) as types.UnsignedOnMarket;
  }

  /**
   * List the posts under a market.
   *
   * List threads, the newest first, each with its first replies; or all posts individually.
   */
  async listMarketDiscussions(market: string, query: { view?: "threads" | "all"; replies?: number; limit?: number; offset?: number; cursor?: string } = {}): Promise<types.Threads | types.Discussions> {
    return (await this.transport.request("GET", `/api/markets/${encodeURIComponent(market)}/discussions`, { query })) as types.Threads | types.Discussions;
  }

  /**
   * Create a post under a market.
   *
   * Create a post under the market, or a reply to another post of it (`parent_id`).
   */
  async postUnderMarket(market: string, body: types.NewPost): Promise<types.PostResult> {
    return (await this.transport.request("POST", `/api/markets/${encodeURIComponent(market)}/discussions`, { body, isIdempotent: true })) as types.PostResult;
  }

  /**
   * Build a dispute to sign.
   *
   * Return a dispute to sign; anyone may dispute a proposed outcome in the dispute period.
   */
  async disputeMarket(market: string): Promise<types.UnsignedOnMarket> {
    return (await this.transport.request("POST", `/api/markets/${encodeURIComponent(market)}/dispute`)) as types.UnsignedOnMarket;
  }

  /**
   * Build a dispute vote to sign.
   *
   * Return a vote on chain to sign. The older proofs are not enough to vote on a dispute.
   */
  async voteOnDispute(market: string, body: types.VoteOnDispute): Promise<types.UnsignedOnMarket> {
    return (await this.transport.request("POST", `/api/markets/${encodeURIComponent(market)}/dispute/vote`, { body })) as types.UnsignedOnMarket;
  }

  /**
   * List a market's holders.
   *
   * List the largest first, by shares of the outcome or of both together.
   */
  async listHolders(market: string, query: { outcome?: "YES" | "NO"; limit?: number; cursor?: string } = {}): Promise<types.Holders> {
    return (await this.transport.request("GET", `/api/markets/${encodeURIComponent(market)}/holders`, { query })) as types.Holders;
  }

  /**
   * Remove a market's image.
   *
   * Remove the image of a market; for its creator and moderators. The bytes go if no other market shows them.
   */
  async removeMarketImage(market: string): Promise<types.MarketImage> {
    return (await this.transport.request("DELETE", `/api/markets/${encodeURIComponent(market)}/image`)) as types.MarketImage;
  }

  /**
   * Set a market's image.
   *
   * Replace the image of a market; for its creator and moderators. The type comes from the bytes: PNG, JPEG
   * or WebP. Files that are cut off, animated, too large in pixels, or followed by other bytes are refused
   * with the reason. Places, names, dates and comments that a camera or program wrote into the file are
   * removed before it is stored.
   */
  async setMarketImage(market: string, body: types.NewImage): Promise<types.MarketImage> {
    return (await this.transport.request("PUT", `/api/markets/${encodeURIComponent(market)}/image`, { body })) as types.MarketImage;
  }

  /**
   * Get a market's life and its next deadline.
   *
   * List the steps in the chain's order, and deadlines by the current configuration, as the program computes
   * them.
   */
  async showLifecycle(market: string, query: { limit?: number } = {}): Promise<types.Lifecycle> {
    return (await this.transport.request("GET", `/api/markets/${encodeURIComponent(market)}/lifecycle`, { query })) as types.Lifecycle;
  }

  /**
   * Set a market's metadata.
   *
   * Store the metadata, before or after the market is created; only the creator's is accepted or shown. A
   * market that was created with a content id accepts only exactly the text of that document. The path needs
   * the market's id of 64 hexadecimal digits.
   */
  async setMarketMetadata(market: string, body: types.NewMetadata): Promise<types.MetadataResult> {
    return (await this.transport.request("POST", `/api/markets/${encodeURIComponent(market)}/metadata`, { body })) as types.MetadataResult;
  }

  /**
   * Get a market's price per trade.
   *
   * Return YES and NO in percent: 50 to 50 at creation, then the newest trades, the latest last.
   */
  async showPriceHistory(market: string, query: { limit?: number } = {}): Promise<types.PriceHistory> {
    return (await this.transport.request("GET", `/api/markets/${encodeURIComponent(market)}/price-history`, { query })) as types.PriceHistory;
  }

  /**
   * Calculate a trade's price.
   *
   * Compute the trade, exact to the lamport by the program's own maths, or the error with which it would
   * refuse. `side=buy` needs `target_cost`, `side=sell` needs `shares`. `smallest` is the least amount that
   * would work.
   */
  async showQuote(market: string, query: { outcome: "YES" | "NO"; side?: "buy" | "sell"; target_cost?: string; shares?: string }): Promise<types.Quote> {
    return (await this.transport.request("GET", `/api/markets/${encodeURIComponent(market)}/quote`, { query })) as types.Quote;
  }

  /**
   * Calculate the prices of several trades.
   *
   * Calculate trades of one market from one state of it, each as if it were the next one. A trade that the
   * program would refuse has its refusal in the result, as with GET .../quote.
   */
  async batchQuotes(market: string, body: types.QuoteBatchRequest): Promise<types.QuoteBatch> {
    return (await this.transport.request("POST", `/api/markets/${encodeURIComponent(market)}/quotes`, { body })) as types.QuoteBatch;
  }

  /**
   * List similar markets.
   *
   * List the newest ACTIVE markets, those of the same category first; empty if the market is not known.
   */
  async listRelated(market: string, query: { limit?: number } = {}): Promise<types.RelatedMarkets> {
    return (await this.transport.request("GET", `/api/markets/${encodeURIComponent(market)}/related`, { query })) as types.RelatedMarkets;
  }

  /**
   * Build a proposed outcome to sign.
   *
   * Return a proposal of an outcome; anyone may propose one for an active market, once.
   */
  async resolveMarket(market: string, body: types.ResolveMarket): Promise<types.UnsignedOnMarket> {
    return (await this.transport.request("POST", `/api/markets/${encodeURIComponent(market)}/resolve`, { body })) as types.UnsignedOnMarket;
  }

  /**
   * Get a market's trading totals.
   *
   * Return volumes in lamports, and the numbers of trades and traders.
   */
  async showMarketStats(market: string): Promise<types.MarketStats> {
    return (await this.transport.request("GET", `/api/markets/${encodeURIComponent(market)}/stats`)) as types.MarketStats;
  }

  /**
   * List a market's trades.
   *
   * List trades, the latest on chain first.
   */
  async listMarketTrades(market: string, query: { limit?: number; offset?: number; cursor?: string } = {}): Promise<types.MarketTradePage> {
    return (await this.transport.request("GET", `/api/markets/${encodeURIComponent(market)}/trades`, { query })) as types.MarketTradePage;
  }

  /**
   * Build a proposal vote to sign.
   *
   * Return a vote on chain to sign (with a token), or cast a ballot at once (with an older proof,
   * LEGACY_AUTH).
   */
  async voteOnProposal(market: string, body: types.VoteOnProposal): Promise<types.UnsignedOnMarket | types.CastVotes> {
    return (await this.transport.request("POST", `/api/markets/${encodeURIComponent(market)}/vote`, { body })) as types.UnsignedOnMarket | types.CastVotes;
  }

  /**
   * List a market's ballots and its tally.
   *
   * List ballots, the latest first; for disputes, likes and dislikes mean agree and disagree.
   */
  async listMarketVotes(market: string, query: { type?: "proposal" | "dispute"; limit?: number; offset?: number } = {}): Promise<types.MarketVotes> {
    return (await this.transport.request("GET", `/api/markets/${encodeURIComponent(market)}/votes`, { query })) as types.MarketVotes;
  }

  /**
   * Decide about an event.
   *
   * Hide or restore an event, not its markets; the decision is public. For moderators only.
   */
  async moderateEvent(slug: string, body: types.EventDecision): Promise<types.Decided> {
    return (await this.transport.request("POST", `/api/moderation/events/${encodeURIComponent(slug)}`, { body })) as types.Decided;
  }

  /**
   * Decide about an image.
   *
   * Hide, restore or erase an image, wherever it is shown; the decision is public. For moderators only.
   * Copies in browsers and proxies stay until they expire there: the address of an image never changes.
   */
  async moderateImage(digest: string, body: types.ImageDecision): Promise<types.Decided> {
    return (await this.transport.request("POST", `/api/moderation/images/${encodeURIComponent(digest)}`, { body })) as types.Decided;
  }

  /**
   * List decisions of moderators.
   *
   * List decisions with their reasons, the newest first; everybody can read them.
   */
  async listModerationLog(query: { before?: number; limit?: number } = {}): Promise<types.ModerationLog> {
    return (await this.transport.request("GET", `/api/moderation/log`, { query })) as types.ModerationLog;
  }

  /**
   * Decide about a post.
   *
   * Hide, restore or erase a post, or dismiss its reports; the decision is public. For moderators only. A
   * hidden post is in no response and no message; hiding the first post of a thread hides the thread. Erasing
   * removes its text and earlier texts for good; their digests stay in the log.
   */
  async moderatePost(name: string, body: types.PostDecision): Promise<types.Decided> {
    return (await this.transport.request("POST", `/api/moderation/posts/${encodeURIComponent(name)}`, { body })) as types.Decided;
  }

  /**
   * List reported posts.
   *
   * List posts with reports that no decision has followed yet, the most reported first; for moderators only.
   * A post that is reported while you read moves up, and may be missing on a later page: read the first page
   * again.
   */
  async showModerationQueue(query: { limit?: number; cursor?: string } = {}): Promise<types.ModerationQueue> {
    return (await this.transport.request("GET", `/api/moderation/queue`, { query })) as types.ModerationQueue;
  }

  /**
   * Ban a wallet, or lift its ban.
   *
   * Ban a wallet from posting, rating, reporting and describing, or lift its ban. For moderators only. The
   * wallet can still trade, vote, sign in, read and follow streams, and delete its own posts.
   */
  async moderateWallet(wallet: string, body: types.WalletDecision): Promise<types.Decided> {
    return (await this.transport.request("POST", `/api/moderation/wallets/${encodeURIComponent(wallet)}`, { body })) as types.Decided;
  }

  /**
   * Get positions of several wallets.
   *
   * Return each wallet's positions in the order of the request, in one snapshot; all of it is public chain
   * data.
   */
  async batchPositions(body: types.PositionBatchRequest): Promise<types.PositionBatch> {
    return (await this.transport.request("POST", `/api/positions/batch`, { body })) as types.PositionBatch;
  }

  /**
   * List a wallet's positions, or 404.
   *
   * Return the same array as /api/users/{wallet}/positions, but 404 for a wallet without any position.
   */
  async listPositionsLegacy(wallet: string, query: { limit?: number; offset?: number } = {}): Promise<types.UserPosition[]> {
    return (await this.transport.request("GET", `/api/positions/${encodeURIComponent(wallet)}`, { query })) as types.UserPosition[];
  }

  /**
   * Get the program's configuration.
   *
   * Return each field's value from the newest event that sets it, and which event that is.
   */
  async showProtocol(): Promise<types.Protocol> {
    return (await this.transport.request("GET", `/api/protocol`)) as types.Protocol;
  }

  /**
   * List the named queries and the limits of SQL.
   *
   * List example queries by name, the allowed functions, and the limits.
   */
  async listSqlQueries(): Promise<types.SqlConsole> {
    return (await this.transport.request("GET", `/api/sql`)) as types.SqlConsole;
  }

  /**
   * Run an SQL query.
   *
   * Run one SELECT as the role analyst, read-only, for at most two seconds; return JSON or CSV. Disabled
   * unless the server was started with ANALYST_SQL.
   */
  async runSql(body: types.SqlQuery): Promise<types.SqlAnswer> {
    return (await this.transport.request("POST", `/api/sql`, { body })) as types.SqlAnswer;
  }

  /**
   * Get the platform's totals.
   *
   * Return trades, traders, fees and open interest by period.
   */
  async showPlatform(): Promise<types.Platform> {
    return (await this.transport.request("GET", `/api/stats`)) as types.Platform;
  }

  /**
   * Get the state of the log and its marts.
   *
   * Return position, lag, stale marts, dead letters, open alerts, and how far completeness is proven.
   * Everybody sees the kinds and counts of alerts, and the state of each mart. The texts of alerts and errors
   * name signatures, hosts and reasons, so they are for operators: METRICS_TOKEN, or the access token of a
   * wallet of OPERATOR_WALLETS, as a bearer token.
   */
  async status(): Promise<types.Status> {
    return (await this.transport.request("GET", `/api/status`)) as types.Status;
  }

  /**
   * List trades.
   *
   * List trades, the latest on chain first; of all markets and wallets, or filtered.
   */
  async listTrades(query: { market_id?: string; wallet?: string; limit?: number; offset?: number; cursor?: string } = {}): Promise<types.TradePage | types.MarketTradePage | types.WalletTradePage> {
    return (await this.transport.request("GET", `/api/trades`, { query })) as types.TradePage | types.MarketTradePage | types.WalletTradePage;
  }

  /**
   * Build a purchase to sign.
   *
   * Return a purchase to sign. The most you pay is fixed, but you may get fewer shares if others trade first.
   */
  async buyShares(body: types.BuyShares): Promise<types.UnsignedTrade> {
    return (await this.transport.request("POST", `/api/trades/buy`, { body })) as types.UnsignedTrade;
  }

  /**
   * Build a sale to sign.
   *
   * Return a sale to sign. The program as deployed on public clusters cannot execute any sale; there the
   * simulation fails with its error.
   */
  async sellShares(body: types.SellShares): Promise<types.UnsignedTrade> {
    return (await this.transport.request("POST", `/api/trades/sell`, { body })) as types.UnsignedTrade;
  }

  /**
   * Send a signed transaction.
   *
   * Simulate and send a transaction, which may contain only instructions of this program and ComputeBudget.
   * If the same bytes are sent again, the response contains the transaction's current status. With the
   * `last_valid_block_height` of the prepared transaction, one that can no longer land has the status
   * expired: nothing happened, and it is safe to prepare and sign another one. Without it, the response is a
   * 409 (blockhash_unknown).
   */
  async relayTransaction(body: types.SignedTransaction): Promise<types.RelayedTransaction> {
    return (await this.transport.request("POST", `/api/transactions`, { body })) as types.RelayedTransaction;
  }

  /**
   * Get the status of a transaction.
   *
   * Return the status from the log, else from the chain; 404 while neither knows the transaction.
   */
  async followTransaction(signature: string, query: { last_valid_block_height?: number } = {}): Promise<types.TransactionStatus> {
    return (await this.transport.request("GET", `/api/transactions/${encodeURIComponent(signature)}`, { query })) as types.TransactionStatus;
  }

  /**
   * Get the signed-in wallet.
   *
   * Return the wallet's counts, the same as in the public /api/users/{wallet}.
   */
  async showMe(): Promise<types.Wallet> {
    return (await this.transport.request("GET", `/api/users/me`)) as types.Wallet;
  }

  /**
   * Set your profile.
   *
   * Replace the public profile of the signed-in wallet, and return it.
   */
  async setProfile(body: types.NewProfile): Promise<types.Profile> {
    return (await this.transport.request("PATCH", `/api/users/me`, { body })) as types.Profile;
  }

  /**
   * Get the signed-in wallet's statement.
   *
   * Return trades and payouts as CSV, the oldest first, with exact amounts; at most 50,000 lines.
   * `amount_lamports` and `amount_sol` are what the wallet received; a payment is negative and includes the
   * fees. Shares and SOL have nine decimals. `fees_are_exact` is false where the chain does not decide
   * between two fees. Network fees are not in it.
   */
  async getStatement(query: { first_day?: string; last_day?: string } = {}): Promise<Uint8Array> {
    return (await this.transport.request("GET", `/api/users/me/statement.csv`, { query })) as Uint8Array;
  }

  /**
   * Get a wallet's counts.
   *
   * Return how often the wallet traded, voted and posted; zeros for an unknown wallet.
   */
  async showWallet(wallet: string): Promise<types.Wallet> {
    return (await this.transport.request("GET", `/api/users/${encodeURIComponent(wallet)}`)) as types.Wallet;
  }

  /**
   * List a wallet's events.
   *
   * List every event in which the wallet acted, the latest on chain first.
   */
  async listWalletActivity(wallet: string, query: { limit?: number; cursor?: string } = {}): Promise<types.WalletActivity> {
    return (await this.transport.request("GET", `/api/users/${encodeURIComponent(wallet)}/activity`, { query })) as types.WalletActivity;
  }

  /**
   * Get a wallet's profit by day.
   *
   * List realized profit and its running sum by day in UTC; empty for a wallet without any.
   */
  async showPnlHistory(wallet: string, query: { limit?: number } = {}): Promise<types.PnlHistory> {
    return (await this.transport.request("GET", `/api/users/${encodeURIComponent(wallet)}/pnl-history`, { query })) as types.PnlHistory;
  }

  /**
   * List a wallet's positions with their profit.
   *
   * Return positions, the latest traded first, and sums over all of them; empty for a wallet without any.
   */
  async showPortfolio(wallet: string, query: { limit?: number; offset?: number } = {}): Promise<types.Portfolio> {
    return (await this.transport.request("GET", `/api/users/${encodeURIComponent(wallet)}/portfolio`, { query })) as types.Portfolio;
  }

  /**
   * List a wallet's positions.
   *
   * Return an array, the latest traded first; empty for a wallet without any.
   */
  async listPositions(wallet: string, query: { limit?: number; offset?: number } = {}): Promise<types.UserPosition[]> {
    return (await this.transport.request("GET", `/api/users/${encodeURIComponent(wallet)}/positions`, { query })) as types.UserPosition[];
  }

  /**
   * Get a wallet's position in one market.
   *
   * Return one position; 404 if the wallet never traded in the market.
   */
  async showPosition(wallet: string, market: string): Promise<types.OnePosition> {
    return (await this.transport.request("GET", `/api/users/${encodeURIComponent(wallet)}/positions/${encodeURIComponent(market)}`)) as types.OnePosition;
  }

  /**
   * Get a wallet's profile.
   *
   * Return the name and text that the wallet has chosen; null for a wallet that has chosen none.
   */
  async showProfile(wallet: string): Promise<types.Profile> {
    return (await this.transport.request("GET", `/api/users/${encodeURIComponent(wallet)}/profile`)) as types.Profile;
  }

  /**
   * Get the result of a wallet's trading.
   *
   * Return sums over the wallet's positions, valued as in its portfolio; zeros for a wallet without any.
   */
  async showWalletStats(wallet: string): Promise<types.WalletStats> {
    return (await this.transport.request("GET", `/api/users/${encodeURIComponent(wallet)}/stats`)) as types.WalletStats;
  }

  /**
   * List a wallet's trades.
   *
   * List trades, the latest on chain first.
   */
  async listWalletTrades(wallet: string, query: { limit?: number; offset?: number; cursor?: string } = {}): Promise<types.WalletTradePage> {
    return (await this.transport.request("GET", `/api/users/${encodeURIComponent(wallet)}/trades`, { query })) as types.WalletTradePage;
  }

  /**
   * List a wallet's ballots.
   *
   * List ballots of both kinds from the chain and the API, the latest first; `limit` and `offset` apply per
   * kind.
   */
  async listWalletVotes(wallet: string, query: { type?: "all" | "proposal" | "dispute"; limit?: number; offset?: number } = {}): Promise<types.WalletVotes> {
    return (await this.transport.request("GET", `/api/users/${encodeURIComponent(wallet)}/votes`, { query })) as types.WalletVotes;
  }

  /**
   * Cast a ballot on a dispute.
   *
   * Cast one ballot per wallet; true agrees with the dispute, and so votes against the proposed outcome.
   */
  async castDisputeBallot(body: types.CastBallot): Promise<types.CastVotes> {
    return (await this.transport.request("POST", `/api/votes/dispute`, { body })) as types.CastVotes;
  }

  /**
   * Get a dispute's tally.
   *
   * Return the tally in the earlier vote aggregator's format; GET /api/votes/{market} has both kinds.
   */
  async countDisputeVotes(market: string): Promise<types.DisputeCounts> {
    return (await this.transport.request("GET", `/api/votes/dispute/${encodeURIComponent(market)}`)) as types.DisputeCounts;
  }

  /**
   * Cast a ballot on the dispute in the path.
   *
   * Cast a ballot in the earlier vote aggregator's format; proof and rules are those of POST
   * /api/votes/dispute.
   */
  async castNamedDisputeBallot(market: string, body: types.DisputeBallot): Promise<types.RecordedBallot> {
    return (await this.transport.request("POST", `/api/votes/dispute/${encodeURIComponent(market)}`, { body })) as types.RecordedBallot;
  }

  /**
   * Get the text to sign for a ballot.
   *
   * Return a text with its own nonce, valid for five minutes and one ballot.
   */
  async showBallotText(query: { market_id: string; kind: "proposal" | "dispute"; vote: boolean; wallet: string }): Promise<types.BallotText> {
    return (await this.transport.request("GET", `/api/votes/message`, { query })) as types.BallotText;
  }

  /**
   * Cast a ballot on a proposal.
   *
   * Cast one ballot per wallet; a second ballot, or one in addition to a vote on chain, returns 409.
   */
  async castProposalBallot(body: types.CastBallot): Promise<types.CastVotes> {
    return (await this.transport.request("POST", `/api/votes/proposal`, { body })) as types.CastVotes;
  }

  /**
   * Get a proposal's tally.
   *
   * Return the tally in the earlier vote aggregator's format; GET /api/votes/{market} has both kinds.
   */
  async countProposalVotes(market: string): Promise<types.ProposalCounts> {
    return (await this.transport.request("GET", `/api/votes/proposal/${encodeURIComponent(market)}`)) as types.ProposalCounts;
  }

  /**
   * Cast a ballot on the proposal in the path.
   *
   * Cast a ballot in the earlier vote aggregator's format; proof and rules are those of POST
   * /api/votes/proposal.
   */
  async castNamedProposalBallot(market: string, body: types.ProposalBallot): Promise<types.RecordedBallot> {
    return (await this.transport.request("POST", `/api/votes/proposal/${encodeURIComponent(market)}`, { body })) as types.RecordedBallot;
  }

  /**
   * Get a market's tallies.
   *
   * Return both tallies: ballots cast on chain and in the API, each wallet once.
   */
  async countVotes(market: string): Promise<types.VoteCounts> {
    return (await this.transport.request("GET", `/api/votes/${encodeURIComponent(market)}`)) as types.VoteCounts;
  }

  /**
   * Check that the process runs.
   *
   * Report only liveness; /ready reports whether requests can be answered.
   */
  async health(): Promise<types.Health> {
    return (await this.transport.request("GET", `/health`)) as types.Health;
  }

  /**
   * Check that requests can be answered.
   *
   * Return 200, or 503 with reasons.
   */
  async ready(): Promise<types.Readiness> {
    return (await this.transport.request("GET", `/ready`)) as types.Readiness;
  }

}
