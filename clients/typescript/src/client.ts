/** A client of one API, for no wallet or one that is signed in. */

import { Requests } from "./requests.js";
import { Stream, type StreamOptions } from "./stream.js";
import type { FieldProblem, Session } from "./types.js";

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
    const isProblem = answer.headers.get("content-type")?.includes("json") ?? false;
    const body = (isProblem ? await answer.json() : {}) as { code?: string; message?: string; details?: FieldProblem[] };
    const after = answer.headers.get("retry-after");
    const message = body.message ?? answer.statusText;
    return new ApiError(answer.status, body.code ?? "", message, body.details ?? [], after === null ? null : Number(after));
  }
}

/** The API at an address. */
export class Zmart extends Requests {
  readonly url: string;
  private session: Session | null = null;

  constructor(url = "http://127.0.0.1:4000") {
    super({ request: (method, path, options) => this.request(method, path, options) });
    this.url = url.replace(/\/$/, "");
  }

  /** Sign in as a wallet and stay signed in: the access token is renewed when it expires. */
  async connect(wallet: string, sign: Sign): Promise<Session> {
    const message = (await this.showNonce({ wallet })).message ?? "";
    this.session = await this.signIn({ wallet, message, signature: await sign(message) });
    return this.session;
  }

  /** Events as they happen, a frame for each entry of the log: `for await (const frame of zmart.follow(["trades"]))`. */
  follow(topics: string[], options: Omit<StreamOptions, "token"> = {}): Stream {
    return new Stream(this.url, topics, { ...options, token: (isExpired) => this.token(isExpired) });
  }

  private async request(method: string, path: string, options: { query?: object; body?: unknown } = {}): Promise<unknown> {
    let answer = await this.send(method, path, options);
    if (answer.status === 401 && this.session !== null) {
      if ((await ApiError.of(answer.clone())).code === "token_expired") {
        await this.renew();
        answer = await this.send(method, path, options);
      }
    }
    if (!answer.ok) throw await ApiError.of(answer);
    const isJson = answer.headers.get("content-type")?.startsWith("application/json") ?? false;
    return isJson ? await answer.json() : new Uint8Array(await answer.arrayBuffer());
  }

  private send(method: string, path: string, options: { query?: object; body?: unknown }): Promise<Response> {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(options.query ?? {})) {
      if (value !== undefined) query.set(name, String(value));
    }
    const headers: Record<string, string> = this.session ? { Authorization: `Bearer ${this.session.access_token}` } : {};
    const init: RequestInit = { method, headers };
    if (options.body !== undefined) {
      headers["Content-Type"] = "application/json";
      init.body = JSON.stringify(options.body);
    }
    return fetch(`${this.url}${path}${query.size > 0 ? `?${query}` : ""}`, init);
  }

  private async renew(): Promise<void> {
    const refresh_token = this.session?.refresh_token ?? "";
    this.session = null;
    this.session = await this.refreshSession({ refresh_token });
  }

  private async token(isExpired: boolean): Promise<string | null> {
    if (isExpired && this.session !== null) await this.renew();
    return this.session?.access_token ?? null;
  }
}
