// What happens, as it happens: /api/stream, followed without a hole.
//
// Every event has an id, `epoch:seq`: a place in the log. Everything up to it has been told, nothing
// after it has. So whoever comes back with the last id gets exactly what was missed, from whichever
// process answers, and changing the topics is the same as coming back: open a new stream at the place
// where the old one stood.
//
//   const stream = new Stream();
//   stream.addEventListener("frame", ({ detail }) => ...);    // { epoch, seq, messages: [{ type, data, ... }] }
//   stream.addEventListener("resync", ({ detail }) => ...);   // that place is in no log: read REST again
//   stream.addEventListener("state", ({ detail }) => ...);    // connecting, live, waiting
//   stream.follow(["trades", "market:1f..."], "epoch:seq");
//
// EventSource would reconnect by itself, but it gives up for good when the answer is a 503, which is
// what a restarting server says. So each end is handled here, in one way: close, wait, open at the place.

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

export class Stream extends EventTarget {
  #source = null;
  #timer = 0;
  #failures = 0;
  #topics = [];

  /** The last id; null until something was heard. */
  position = null;
  state = "connecting";

  /** Follow these topics, from a place in the log or from where this stream stands. */
  follow(topics, since = this.position) {
    this.#topics = topics;
    this.position = since;
    this.#open();
  }

  /** Connect now rather than when the wait is over: the network came back, or somebody looks again. */
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
    // The server is stopping, or we did not read fast enough; the place still holds.
    source.addEventListener("close", () => this.#reconnect());
  }

  #receive(event, kind) {
    const detail = JSON.parse(event.data);
    // First the place, then the news: a listener that reopens the stream must not be told twice.
    this.position = event.lastEventId || this.position;
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }

  #reconnect() {
    this.#end();
    this.#setState("waiting");
    // Doubling, and never in step with everybody else who lost the same server.
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
