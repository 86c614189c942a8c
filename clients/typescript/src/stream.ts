/**
 * A stream that comes back: every entry of the log that concerns its topics, in order, once.
 *
 * Its place is `epoch:seq`, the last frame that was handed out. When the connection is lost it waits, connects again, to
 * whichever process answers, and asks for what came after its place; so there is no hole, and what is told twice is left
 * out. Where the server says `resync`, the place is none in its log (a restored database): `onResync` is called, to read
 * the state again, and the stream goes on from where the log is now.
 */

import type { Frame } from "./types.js";

export interface StreamOptions {
  /** A place to begin at; what came after it is told first. */
  since?: string;
  transport?: "sse" | "websocket";
  /** Told the reason (`foreign_epoch`, `future_position`) and the new place. */
  onResync?: (reason: string, place: string) => void | Promise<void>;
  /** The access token of the wallet that is signed in; a new one where the last has run out. */
  token?: (isExpired: boolean) => Promise<string | null>;
  /** Ends the stream. */
  signal?: AbortSignal;
}

/** The server will not serve this stream, however often it is asked; `code` says why. */
export class Refused extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(`${code}: ${message}`);
    this.name = "Refused";
  }
}

/** The connection is gone; come back. */
class Lost extends Error {}

interface Place {
  epoch: string;
  seq: number;
}

/** What a server says, in the words of the WebSocket. */
type Said =
  | (Frame & { type?: undefined })
  | (Frame & { type: "subscribed" })
  | { type: "resync"; data: Place & { reason: string } }
  | { type: "error"; data: { code: string; error: string } }
  | { type: "close"; data: { reason: string } }
  | { type: "welcome" | "pong" };

/** The server says something every 15 seconds; three times that without a word is a dead connection. */
const PATIENCE_MS = 45_000;
/** Waits before coming back: doubled each time nothing was heard in between. */
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 30_000;
/** Errors that trying again does not mend. */
const FINAL = new Set([
  "unknown_topic",
  "too_many_topics",
  "not_signed_in",
  "wrong_wallet",
  "invalid_since",
  "validation_failed",
]);
const EXPIRED = "token_expired";

/** Frames of some topics; iterate over it. `place` can be kept, and a stream begun `since` it. */
export class Stream implements AsyncIterable<Frame> {
  place: string | null;
  private isExpired = false;
  private wait = FIRST_WAIT_MS;

  constructor(
    private readonly url: string,
    private readonly topics: string[],
    private readonly options: StreamOptions = {},
  ) {
    this.place = options.since ?? null;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Frame, void, void> {
    while (!this.options.signal?.aborted) {
      const connected = this.options.transport === "websocket" ? this.overWebSocket() : this.overEvents();
      try {
        // Not `for await`: an error of whoever iterates over us must not be taken for a lost connection.
        for (let next = await this.heard(connected); next !== null; next = await this.heard(connected)) {
          const frame = await this.understood(next);
          if (frame !== null) yield frame;
        }
      } finally {
        await connected.return();
      }
      if (this.options.signal?.aborted) return;
      await new Promise((done) => setTimeout(done, this.wait * (0.5 + Math.random() / 2)));
      this.wait = Math.min(this.wait * 2, LONGEST_WAIT_MS);
    }
  }

  /** The next thing that is said; null when the connection is lost. */
  private async heard(connected: AsyncGenerator<Said, void, void>): Promise<Said | null> {
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
      if (error instanceof Refused) throw error;
      return null;
    }
  }

  /** What was said, as a frame to hand out. */
  private async understood(said: Said): Promise<Frame | null> {
    switch (said.type) {
      case undefined:
        if (!this.isNew(said)) return null;
        this.move(said);
        return said.messages.length > 0 ? said : null;
      case "subscribed":
        this.move(said);
        return said.messages.length > 0 ? { epoch: said.epoch, seq: said.seq, messages: said.messages } : null;
      case "resync":
        await this.options.onResync?.(said.data.reason, `${said.data.epoch}:${said.data.seq}`);
        this.move(said.data);
        return null;
      default:
        return null;
    }
  }

  private isNew(said: Place): boolean {
    const end = this.place?.lastIndexOf(":") ?? -1;
    return this.place === null || this.place.slice(0, end) !== said.epoch || said.seq > Number(this.place.slice(end + 1));
  }

  private move(said: Place): void {
    this.place = `${said.epoch}:${said.seq}`;
    this.wait = FIRST_WAIT_MS;
  }

  private fail(code: string, message: string): never {
    if (FINAL.has(code)) throw new Refused(code, message);
    this.isExpired = code === EXPIRED;
    throw new Lost(code);
  }

  private async token(): Promise<string | null> {
    const token = (await this.options.token?.(this.isExpired)) ?? null;
    this.isExpired = false;
    return token;
  }

  // --- over server-sent events ------------------------------------------------------------------

  private async *overEvents(): AsyncGenerator<Said, void, void> {
    const query = new URLSearchParams({ topics: this.topics.join(",") });
    if (this.place !== null) query.set("since", this.place);
    const token = await this.token();
    const headers: Record<string, string> = token === null ? {} : { Authorization: `Bearer ${token}` };
    const silence = new Silence(this.options.signal);
    try {
      const answer = await fetch(`${this.url}/api/stream?${query}`, { headers, signal: silence.signal });
      if (!answer.ok || answer.body === null) {
        const problem = (await answer.json()) as { code?: string; message?: string };
        this.fail(problem.code ?? "", problem.message ?? "");
      }
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
        silence.over();
        // An event is whole at its empty line; one that was cut off is told again.
        const events = (text + piece.value).split(/\r?\n\r?\n/);
        text = events.pop() ?? "";
        for (const event of events) {
          const said = ofEvent(event);
          if (said !== null) yield said;
        }
      }
    } finally {
      silence.end();
    }
  }

  // --- over WebSocket ---------------------------------------------------------------------------

  private async *overWebSocket(): AsyncGenerator<Said, void, void> {
    const token = await this.token();
    const socket = new WebSocket(`${this.url.replace(/^http/, "ws")}/ws`);
    const silence = new Silence(this.options.signal);
    const queue: Said[] = [];
    let isOver = false;
    let wake = (): void => {};
    const end = (): void => {
      isOver = true;
      wake();
    };
    socket.onopen = () => {
      const asked = { action: "subscribe", topics: this.topics, since: this.place ?? undefined, token: token ?? undefined };
      socket.send(JSON.stringify(asked));
    };
    socket.onmessage = (event: MessageEvent) => {
      silence.over();
      queue.push(JSON.parse(event.data as string) as Said);
      wake();
    };
    socket.onclose = socket.onerror = end;
    silence.signal.addEventListener("abort", end);
    try {
      for (;;) {
        const said = queue.shift();
        if (said !== undefined) yield said;
        else if (isOver) return;
        else await new Promise<void>((done) => (wake = done));
      }
    } finally {
      silence.end();
      socket.close();
    }
  }
}

/** Aborts when nothing is heard for too long, or when whoever listens has had enough. */
class Silence {
  private readonly controller = new AbortController();
  private timer = setTimeout(() => this.controller.abort(), PATIENCE_MS);
  private readonly stop = (): void => this.controller.abort();

  constructor(private readonly outer: AbortSignal | undefined) {
    outer?.addEventListener("abort", this.stop);
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  over(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.controller.abort(), PATIENCE_MS);
  }

  end(): void {
    clearTimeout(this.timer);
    this.outer?.removeEventListener("abort", this.stop);
    this.controller.abort();
  }
}

/** A server-sent event in the words of the WebSocket; null for one that says nothing. */
function ofEvent(text: string): Said | null {
  const event = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const end = line.indexOf(":");
    if (end > 0) event.set(line.slice(0, end), line.slice(end + 1).replace(/^ /, ""));
  }
  const kind = event.get("event") ?? "";
  const data = event.get("data");
  if (data !== undefined) {
    if (kind === "" || kind === "welcome") return JSON.parse(data) as Frame;
    if (kind === "resync" || kind === "close") return { type: kind, data: JSON.parse(data) } as Said;
  }
  const id = event.get("id");
  if (id === undefined) return null;
  const end = id.lastIndexOf(":");
  return { epoch: id.slice(0, end), seq: Number(id.slice(end + 1)), messages: [] };
}
