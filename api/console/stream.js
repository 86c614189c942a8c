// Follows /api/stream and resumes without gaps.
//
// Every frame has a `position`, an opaque string: the server has sent everything up to it and nothing
// after it. So a client that sends the last position back gets exactly what it missed, from whichever
// process answers, and changing the topics is the same as resuming: open a new stream at the position
// of the old one.
//
//   const stream = new Stream();
//   stream.addEventListener("frame", ({ detail }) => ...);    // { epoch, seq, position, messages: [{ type, data, ... }] }
//   stream.addEventListener("resync", ({ detail }) => ...);   // that position is in no log: read REST again
//   stream.addEventListener("state", ({ detail }) => ...);    // connecting, live, waiting
//   stream.follow(["trades", "market:1f..."], position);
//
// EventSource would reconnect by itself, but it gives up for good when the response is a 503, which a
// restarting server sends. So each end is handled here, in one way: close, wait, open at the position.

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

export class Stream extends EventTarget {
  #source = null;
  #timer = 0;
  #failures = 0;
  #topics = [];

  /** The last position that was received; null before any. */
  position = null;
  state = "connecting";

  /** Follow these topics, from a given position or from the last one that this stream received. */
  follow(topics, since = this.position) {
    this.#topics = topics;
    this.position = since;
    this.#open();
  }

  /** Connect now instead of after the wait: the network is back, or the page is visible again. */
  reconnectNow() {
    if (this.state === "waiting") this.#open();
  }

  #open() {
    this.#end();
    this.#setState(this.#failures ? "waiting" : "connecting");
    const query = new URLSearchParams({ topics: this.#topics.join(",") });
    if (this.position) query.set("since", this.position);
    const source = (this.#source = new EventSource(`/api/stream?${query}`));
    source.onopen = () => {
      this.#failures = 0;
      this.#setState("live");
    };
    source.onerror = () => this.#reconnect();
    source.onmessage = (event) => this.#receive(event, "frame");
    source.addEventListener("welcome", (event) => this.#receive(event, "frame"));
    source.addEventListener("resync", (event) => this.#receive(event, "resync"));
    // The server is stopping, or we did not read fast enough; the position stays valid.
    source.addEventListener("close", () => this.#reconnect());
  }

  #receive(event, kind) {
    const detail = JSON.parse(event.data);
    // The position first: a listener that reopens the stream must not receive the event twice.
    this.position = detail.position;
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }

  #reconnect() {
    this.#end();
    this.#setState("waiting");
    // Doubled, with a random part, so that clients of a failed server do not return at the same time.
    const wait = Math.min(FIRST_WAIT_MS * 2 ** this.#failures, LONGEST_WAIT_MS) * (0.75 + Math.random() / 2);
    this.#failures += 1;
    this.#timer = setTimeout(() => this.#open(), wait);
  }

  #end() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  #setState(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }
}
