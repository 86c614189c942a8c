/** A client of one API, for no wallet or one that is signed in. */

import { isUnavailable, parseProblem, parseSeconds, requireSession } from "./answers.js";
import { Requests, type RequestOptions } from "./requests.js";
import { Stream, type StreamOptions } from "./stream.js";
import type { FieldProblem, MarketImage, Session } from "./types.js";

/** Signs a text as the wallet; the signature in base58 or base64. */
export type Sign = (text: string) => string | Promise<string>;

/** A call was rejected; `code` is stable, `message` is text for users. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly details: FieldProblem[],
    /** Seconds to wait before a retry; null if the response has none. */
    readonly retryAfter: number | null,
  ) {
    super(`${status} ${code}: ${message}`);
    this.name = "ApiError";
  }

  static async of(answer: Response): Promise<ApiError> {
    const body = await parseProblem(answer);
    const message = body.message ?? answer.statusText;
    return new ApiError(answer.status, body.code ?? "", message, body.details ?? [], parseSeconds(answer.headers.get("retry-after")));
  }
}

/** The call that renews a session: it needs no access token, and its refusal ends the session. */
const REFRESH_PATH = "/api/auth/refresh";

/** How to reach the API. */
export interface ZmartOptions {
  /** Every call and stream acts for the wallet of this key, as far as its scopes allow. */
  apiKey?: string;
  /** A call without an answer after this time fails; 30 seconds unless given. */
  timeoutMs?: number;
  /**
   * How often a call is sent again: 2 unless given. Reads, and calls that create something once for each
   * Idempotency-Key, are repeated when the connection fails, when the server is busy or restarts (502, 503,
   * 504), and when the limit allows it again within seconds (429); other calls after a 429 only, which did nothing.
   */
  retries?: number;
}

const TIMEOUT_MS = 30_000;
const RETRIES = 2;
/** The first wait before a call is sent again; it doubles. */
const RETRY_MS = 250;
/** A refusal that names a longer wait is thrown: the caller decides. */
const LONGEST_RETRY_AFTER_SECONDS = 5;

/** The API at an address. */
export class Zmart extends Requests {
  readonly url: string;
  private session: Session | null = null;
  /** The renewal that is under way: a refresh token is valid once, so parallel calls wait for one renewal. */
  private renewal: { of: Session; done: Promise<void> } | null = null;

  constructor(url = "http://127.0.0.1:4000", private readonly options: ZmartOptions = {}) {
    super({ request: (method, path, options) => this.request(method, path, options) });
    this.url = url.replace(/\/$/, "");
  }

  /** Sign in as a wallet and stay signed in: the access token is renewed when it expires. */
  async connect(wallet: string, sign: Sign): Promise<Session> {
    const message = (await this.showNonce({ wallet })).message ?? "";
    this.session = requireSession(await this.signIn({ wallet, message, signature: await sign(message) }));
    return this.session;
  }

  /** Events as they happen, a frame for each entry of the log: `for await (const frame of zmart.follow(["trades"]))`. */
  follow(topics: string[], options: Omit<StreamOptions, "token"> = {}): Stream {
    return new Stream(this.url, topics, { ...options, token: (isExpired) => this.token(isExpired) });
  }

  /** Set the image of a market: the bytes of a PNG, JPEG or WebP. */
  async uploadImage(market: string, file: Uint8Array): Promise<MarketImage> {
    let text = "";
    for (const byte of file) text += String.fromCharCode(byte);
    return this.setMarketImage(market, { content: btoa(text) });
  }

  private async request(method: string, path: string, options: RequestOptions = {}): Promise<unknown> {
    const headers: Record<string, string> = options.isIdempotent ? { "Idempotency-Key": crypto.randomUUID() } : {};
    // A refused renewal is not renewed: it would wait for itself.
    const session = path === REFRESH_PATH ? null : this.session;
    let answer = await this.sendAndRetry(method, path, options, headers);
    if (answer.status === 401 && session !== null) {
      if ((await ApiError.of(answer.clone())).code === "token_expired") {
        await this.renew(session);
        answer = await this.sendAndRetry(method, path, options, headers);
      }
    }
    if (!answer.ok) throw await ApiError.of(answer);
    const isJson = answer.headers.get("content-type")?.startsWith("application/json") ?? false;
    return isJson ? await answer.json() : new Uint8Array(await answer.arrayBuffer());
  }

  private async sendAndRetry(
    method: string,
    path: string,
    options: RequestOptions,
    headers: Record<string, string>,
  ): Promise<Response> {
    const retries = this.options.retries ?? RETRIES;
    const canRepeat = method === "GET" || options.isIdempotent === true;
    for (let attempt = 0; ; attempt += 1) {
      let wait = RETRY_MS * 2 ** attempt * (0.5 + Math.random() / 2);
      try {
        const answer = await this.send(method, path, options, headers);
        const after = parseSeconds(answer.headers.get("retry-after")) ?? 0;
        const isTemporary = answer.status === 429 || (canRepeat && isUnavailable(answer.status));
        if (attempt >= retries || !isTemporary || after > LONGEST_RETRY_AFTER_SECONDS) return answer;
        await answer.body?.cancel();
        wait = Math.max(wait, after * 1000);
      } catch (error) {
        if (attempt >= retries || !canRepeat) throw error;
      }
      await new Promise((done) => setTimeout(done, wait));
    }
  }

  private send(
    method: string,
    path: string,
    options: RequestOptions,
    more: Record<string, string>,
  ): Promise<Response> {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(options.query ?? {})) {
      if (value !== undefined) query.set(name, String(value));
    }
    const token = path === REFRESH_PATH ? null : this.bearer();
    const headers: Record<string, string> = { ...more, ...(token === null ? {} : { Authorization: `Bearer ${token}` }) };
    const init: RequestInit = { method, headers, signal: AbortSignal.timeout(this.options.timeoutMs ?? TIMEOUT_MS) };
    if (options.body !== undefined) {
      headers["Content-Type"] = "application/json";
      init.body = JSON.stringify(options.body);
    }
    return fetch(`${this.url}${path}${query.size > 0 ? `?${query}` : ""}`, init);
  }

  /** Replace an expired session, unless another call has done so; keep it until the next one is here. */
  private async renew(expired: Session): Promise<void> {
    if (this.session !== expired) return;
    const renewal = this.renewal?.of === expired ? this.renewal : { of: expired, done: this.replace(expired) };
    this.renewal = renewal;
    try {
      await renewal.done;
    } finally {
      if (this.renewal === renewal) this.renewal = null;
    }
  }

  private async replace(expired: Session): Promise<void> {
    let next: Session;
    try {
      next = requireSession(await this.refreshSession({ refresh_token: expired.refresh_token }));
    } catch (error) {
      // Somebody signed in meanwhile: calls go on with that session.
      if (this.session !== expired) return;
      if (error instanceof ApiError && error.status === 401) this.session = null;
      throw error;
    }
    if (this.session === expired) this.session = next;
  }

  private async token(isExpired: boolean): Promise<string | null> {
    if (isExpired && this.session !== null) await this.renew(this.session);
    return this.bearer();
  }

  /** The access token of the session, or the API key without one. */
  private bearer(): string | null {
    return this.session?.access_token ?? this.options.apiKey ?? null;
  }
}
