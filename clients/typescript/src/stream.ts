/**
 * A stream that reconnects: it returns every entry of the log that concerns its topics, in order, once.
 *
 * The stream stores the `position` of the last frame, an opaque string that only servers build. When the connection is
 * lost it waits, connects to whichever process answers, and sends the position back, so no entry is missed. Entries that
 * arrive twice are recognized by `epoch` and `seq` and left out. A server sends `resync` when its log does not have the
 * position (a restored database): `onResync` is called, to read the state again, and the stream continues from the new
 * position.
 *
 * Topics may begin at positions of their own. The server then sends the entries that each topic lacks, and the stream
 * follows all topics together from there (`hasOnePosition`). Until then it remembers what each topic has received, so
 * that a disconnect repeats nothing and omits nothing.
 */

import { isFinal, parseProblem, parseSeconds } from "./answers.js";
import type { Frame } from "./types.js";

export interface StreamOptions {
  /**
   * A position to begin at, as it was received, or one for each topic; the entries after it are sent first.
   * Without a position for one of the topics, `follow` throws a RangeError.
   */
  since?: string | Readonly<Record<string, string>>;
  transport?: "sse" | "websocket";
  /** Called with the reason (`foreign_epoch`, `future_position`, `mark_mismatch`) and the new position. */
  onResync?: (reason: string, position: string) => void | Promise<void>;
  /** The access token of the signed-in wallet; a new one when the last has expired. */
  token?: (isExpired: boolean) => Promise<string | null>;
  /** Ends the stream. */
  signal?: AbortSignal;
}

/** The server rejects this stream permanently; `code` is the reason. */
export class StreamRejected extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(`${code}: ${message}`);
    this.name = "StreamRejected";
  }
}

/** The connection is lost; reconnect. */
class ConnectionLost extends Error {}

interface PositionFields {
  epoch: string;
  seq: number;
  position: string;
}

/** A message of a server, in the format of the WebSocket. */
type ServerMessage =
  | (Frame & { type?: undefined })
  | (Frame & { type: "subscribed" })
  | { type: "resync"; data: PositionFields & { reason: string } }
  | { type: "error"; data: { code: string; error: string } }
  | { type: "close"; data: { reason: string } }
  /** An event with an id and no data: the server has sent everything up to this position. */
  | { type: "heartbeat"; position: string }
  | { type: "welcome" | "pong" };

/** The server sends a message every 15 seconds; after three times that without one, the connection is dead. */
const SILENCE_TIMEOUT_MS = 45_000;
/** Delays before a reconnect: doubled each time no message arrived in between. */
const MIN_BACKOFF_MS = 250;
const MAX_BACKOFF_MS = 30_000;
/** Errors that a retry does not solve. */
const FINAL = new Set([
  "unknown_topic",
  "too_many_topics",
  "not_signed_in",
  "forbidden",
  "wrong_wallet",
  "invalid_since",
  "validation_failed",
]);
const EXPIRED = "token_expired";

/** Topics that share a position, and the newest entry that was returned for them. */
class Subscription {
  /** null and -1 before the first frame. */
  private epoch: string | null = null;
  private seq = -1;

  constructor(
    public topics: string[],
    public position: string | null,
  ) {}

  isNew(received: PositionFields): boolean {
    return received.epoch !== this.epoch || received.seq > this.seq;
  }

  advance(received: PositionFields): void {
    this.position = received.position;
    this.epoch = received.epoch;
    this.seq = received.seq;
  }
}

/**
 * Frames of some topics; iterate over it. Store `position` to begin another stream `since` it. With a `since` for each
 * topic, store it only while `hasOnePosition`: before that, one position does not say what each topic has received.
 */
export class Stream implements AsyncIterable<Frame> {
  /** The last position that was received, unchanged. */
  position: string | null;
  private subscriptions: Subscription[];
  /** What was returned while the positions of the topics differ, over server-sent events: in the order of the log. */
  private readonly received = new Subscription([], null);
  /** Over WebSocket: how many subscriptions the server has acknowledged on this connection. */
  private acknowledged = 0;
  /** Set when the positions of all topics changed, so that they are subscribed again. */
  private mustReconnect = false;
  private isExpired = false;
  private wait = MIN_BACKOFF_MS;
  /** Seconds that the last refusal named; null if it named none. */
  private retryAfter: number | null = null;

  constructor(
    private readonly url: string,
    topics: string[],
    private readonly options: StreamOptions = {},
  ) {
    this.subscriptions = subscriptionsOf(topics, options.since ?? null);
    this.position = this.hasOnePosition ? this.first.position : null;
  }

  /** Whether all topics are at one position, which is always so with one `since` for all of them. */
  get hasOnePosition(): boolean {
    return this.subscriptions.length === 1;
  }

  private get first(): Subscription {
    return this.subscriptions[0]!;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Frame, void, void> {
    while (!this.options.signal?.aborted) {
      this.acknowledged = 0;
      this.mustReconnect = false;
      const connected = this.options.transport === "websocket" ? this.overWebSocket() : this.overEvents();
      try {
        // Not `for await`: an error of the code that iterates must not be taken for a lost connection.
        for (let next = await this.nextMessage(connected); next !== null; next = await this.nextMessage(connected)) {
          const frame = await this.toFrame(next);
          if (frame !== null) yield frame;
          if (this.mustReconnect) break;
        }
      } finally {
        await connected.return();
      }
      if (this.options.signal?.aborted) return;
      await new Promise((done) => setTimeout(done, this.nextDelay()));
    }
  }

  /** Milliseconds until the next attempt, spread so that clients do not all reconnect at once. */
  private nextDelay(): number {
    if (this.retryAfter !== null) {
      // The server knows better: one that restarts is back long before a doubled wait has passed.
      const delay = this.retryAfter * 1000;
      this.retryAfter = null;
      return delay * (1 + Math.random() / 2);
    }
    const delay = this.wait;
    this.wait = Math.min(delay * 2, MAX_BACKOFF_MS);
    return delay * (0.5 + Math.random() / 2);
  }

  /** The next message; null when the connection is lost. */
  private async nextMessage(connected: AsyncGenerator<ServerMessage, void, void>): Promise<ServerMessage | null> {
    try {
      const next = await connected.next();
      if (next.done) return null;
      if (next.value.type === "close") {
        this.isExpired = next.value.data.reason === EXPIRED;
        return null;
      }
      if (next.value.type === "error") this.fail(next.value.data.code, next.value.data.error);
      return next.value;
    } catch (error) {
      if (error instanceof StreamRejected) throw error;
      return null;
    }
  }

  /** The message as a frame to return. */
  private async toFrame(received: ServerMessage): Promise<Frame | null> {
    switch (received.type) {
      case undefined: {
        if (this.acknowledged > 1 && received.messages.length === 0) {
          this.merge(this.acknowledged, received);
          return null;
        }
        const subscription = this.current();
        if (!subscription.isNew(received)) return null;
        this.advance(subscription, received);
        return received.messages.length > 0 ? received : null;
      }
      case "subscribed":
        this.acknowledged = Math.min(this.acknowledged + 1, this.subscriptions.length);
        this.advance(this.current(), received);
        return received.messages.length > 0 ? frameOf(received) : null;
      case "resync":
        await this.options.onResync?.(received.data.reason, received.data.position);
        this.mustReconnect = !this.hasOnePosition;
        this.merge(this.subscriptions.length, received.data);
        return null;
      case "heartbeat":
        this.mergeAll(received.position);
        return null;
      default:
        return null;
    }
  }

  /** The topics whose frames are arriving. */
  private current(): Subscription {
    // The newest subscription: until its topics have reached the earlier ones, frames are of them alone.
    if (this.acknowledged > 0) return this.subscriptions[this.acknowledged - 1]!;
    return this.hasOnePosition ? this.first : this.received;
  }

  private advance(subscription: Subscription, received: PositionFields): void {
    this.position = received.position;
    this.wait = MIN_BACKOFF_MS;
    subscription.advance(received);
  }

  /** Make one subscription of the first ones, whose topics have all received everything up to a position. */
  private merge(count: number, received: PositionFields): void {
    const merged = new Subscription(topicsOf(this.subscriptions.slice(0, count)), null);
    this.subscriptions = [merged, ...this.subscriptions.slice(count)];
    this.acknowledged = Math.min(this.acknowledged, 1);
    this.advance(merged, received);
  }

  /** Move all topics to a position up to which the server has sent everything. */
  private mergeAll(position: string): void {
    this.wait = MIN_BACKOFF_MS;
    const merged = this.current();
    merged.topics = topicsOf(this.subscriptions);
    this.position = merged.position = position;
    this.subscriptions = [merged];
  }

  private fail(code: string, message: string): never {
    if (FINAL.has(code)) throw new StreamRejected(code, message);
    this.isExpired = code === EXPIRED;
    throw new ConnectionLost(code);
  }

  private async token(): Promise<string | null> {
    const token = (await this.options.token?.(this.isExpired)) ?? null;
    this.isExpired = false;
    return token;
  }

  // --- over server-sent events ------------------------------------------------------------------

  private async *overEvents(): AsyncGenerator<ServerMessage, void, void> {
    const query = new URLSearchParams();
    for (const { topics, position } of this.subscriptions) {
      query.append("topics", topics.join(","));
      if (position !== null) query.append("since", position);
    }
    const token = await this.token();
    const headers: Record<string, string> = token === null ? {} : { Authorization: `Bearer ${token}` };
    // Frames come in the order of the log, so the last one moves every earlier position forward.
    if (!this.hasOnePosition && this.position !== null) headers["Last-Event-ID"] = this.position;
    const silence = new SilenceTimeout(this.options.signal);
    try {
      const answer = await fetch(`${this.url}/api/stream?${query}`, { headers, signal: silence.signal });
      if (!answer.ok || answer.body === null) {
        this.retryAfter = parseSeconds(answer.headers.get("retry-after"));
        const { code = "", message = answer.statusText } = await parseProblem(answer);
        if (isFinal(answer.status) && code !== EXPIRED) throw new StreamRejected(code || String(answer.status), message);
        this.fail(code, message);
      }
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
        silence.restart();
        // An event is complete at its empty line; an incomplete one is sent again.
        const events = (text + piece.value).split(/\r?\n\r?\n/);
        text = events.pop() ?? "";
        for (const event of events) {
          const received = parseEvent(event);
          if (received !== null) yield received;
        }
      }
    } finally {
      silence.end();
    }
  }

  // --- over WebSocket ---------------------------------------------------------------------------

  private async *overWebSocket(): AsyncGenerator<ServerMessage, void, void> {
    const token = await this.token();
    const socket = new WebSocket(`${this.url.replace(/^http/, "ws")}/ws`);
    const silence = new SilenceTimeout(this.options.signal);
    const queue: ServerMessage[] = [];
    let isOver = false;
    let wake = (): void => {};
    const end = (): void => {
      isOver = true;
      wake();
    };
    socket.onopen = () => {
      for (const { topics, position } of this.subscriptions) {
        const request = { action: "subscribe", topics, since: position ?? undefined, token: token ?? undefined };
        socket.send(JSON.stringify(request));
      }
    };
    socket.onmessage = (event: MessageEvent) => {
      silence.restart();
      queue.push(JSON.parse(event.data as string) as ServerMessage);
      wake();
    };
    socket.onclose = socket.onerror = end;
    silence.signal.addEventListener("abort", end);
    try {
      for (;;) {
        const received = queue.shift();
        if (received !== undefined) yield received;
        else if (isOver) return;
        else await new Promise<void>((done) => (wake = done));
      }
    } finally {
      silence.end();
      socket.close();
    }
  }
}

/** Aborts when no message arrives for too long, or when the iterating code stops. */
class SilenceTimeout {
  private readonly controller = new AbortController();
  private timer = setTimeout(() => this.controller.abort(), SILENCE_TIMEOUT_MS);
  private readonly stop = (): void => this.controller.abort();

  constructor(private readonly outer: AbortSignal | undefined) {
    outer?.addEventListener("abort", this.stop);
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  restart(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.controller.abort(), SILENCE_TIMEOUT_MS);
  }

  end(): void {
    clearTimeout(this.timer);
    this.outer?.removeEventListener("abort", this.stop);
    this.controller.abort();
  }
}

/** The topics grouped by their position. */
function subscriptionsOf(topics: string[], since: string | Readonly<Record<string, string>> | null): Subscription[] {
  if (since === null || typeof since === "string") return [new Subscription(topics, since)];
  const missing = topics.filter((topic) => since[topic] === undefined);
  if (missing.length > 0) throw new RangeError(`\`since\` has no position for ${missing.join(", ")}.`);
  const groups = new Map<string, string[]>();
  for (const topic of topics) groups.set(since[topic]!, [...(groups.get(since[topic]!) ?? []), topic]);
  return [...groups].map(([position, group]) => new Subscription(group, position));
}

function topicsOf(subscriptions: Subscription[]): string[] {
  return subscriptions.flatMap((subscription) => subscription.topics);
}

/** The part of an acknowledgement that is a frame. */
function frameOf({ epoch, seq, position, messages }: Frame): Frame {
  return { epoch, seq, position, messages };
}

/** A server-sent event in the format of the WebSocket; null for one without data. */
function parseEvent(text: string): ServerMessage | null {
  const event = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const end = line.indexOf(":");
    if (end > 0) event.set(line.slice(0, end), line.slice(end + 1).replace(/^ /, ""));
  }
  const kind = event.get("event") ?? "";
  const data = event.get("data");
  if (data !== undefined) {
    if (kind === "" || kind === "welcome") return JSON.parse(data) as Frame;
    if (kind === "resync" || kind === "close") return { type: kind, data: JSON.parse(data) } as ServerMessage;
  }
  const id = event.get("id");
  return id === undefined ? null : { type: "heartbeat", position: id };
}
