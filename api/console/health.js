// The strip at the bottom: the age of the newest entry, the proven slot, the final slot, and the state of
// the connection. It reads a small response now and then; finality arrives over the stream as well.

import { read } from "./api.js";
import { ago, count } from "./format.js";
import { el, setText, show } from "./dom.js";
import { throttle } from "./throttle.js";

const EVERY_MS = 15_000;

const CONNECTION = {
  connecting: "connecting",
  live: "live",
  waiting: "reconnecting",
};

// The most severe condition; "all fresh" only if every mart is, those that Dagster computes included.
function describeMarts(stale, behind, overdue) {
  const names = (marts) => marts.map((mart) => mart.name).join(", ");
  if (stale.length) return `${names(stale)} stale`;
  if (behind.length) return `${names(behind)} behind`;
  return overdue.length ? `${names(overdue)} not computed` : "all fresh";
}

export function healthStrip(root, pill, { store, stream, announce }) {
  const fields = {
    log: field("Log", "Entries of the log; REST and streams use the same numbers."),
    newest: field("Newest entry", "The time of the newest entry of the log."),
    slot: field("Slot", "The newest slot with an event."),
    verified: field("Verified through", "Proven against the chain: nothing is missing up to this slot."),
    finalized: field("Finalized through", "Everything up to this slot is final on chain."),
    marts: field("Marts", "Tables that follow the log; a stale one reflects an older entry."),
  };
  const list = el("dl", {}, Object.values(fields).map(({ node }) => node));
  const alerts = el("p", { class: "alerts" });
  show(root, list, alerts);

  const refresh = throttle(async () => {
    try {
      showStatus(await read("status"));
    } catch {
      // The pill shows the state of the connection; the last status stays visible, with its age.
    }
  }, 5_000);

  function showStatus(status) {
    fields.log.setText(count(status.seq));
    show(fields.newest.value, status.lag.last_entry_at ? ago(status.lag.last_entry_at) : "none yet");
    fields.slot.setText(status.slot === null ? "–" : count(status.slot));
    fields.verified.setText(status.verified_through === null ? "not yet" : count(status.verified_through));
    fields.verified.node.dataset.level = status.completeness.state === "verified" ? "good" : "warning";
    fields.verified.node.title = status.completeness.reason;
    showFinalized(status.finalized_through);
    const stale = status.models.filter((model) => model.is_stale);
    const behind = status.models.filter((model) => model.is_behind);
    const overdue = status.scheduled_marts.filter((mart) => mart.is_overdue);
    fields.marts.setText(describeMarts(stale, behind, overdue));
    fields.marts.node.dataset.level = stale.length ? "bad" : behind.length || overdue.length ? "warning" : "good";
    const worst = status.alerts.find((alert) => alert.severity === "critical") ?? status.alerts[0];
    setText(alerts, worst ? `${worst.open} open: ${worst.kind.replaceAll("_", " ")}` : "");
    alerts.hidden = !worst;
  }

  function showFinalized(slot) {
    fields.finalized.setText(slot === null ? "not yet" : count(slot));
  }

  function showConnection(state) {
    setText(pill, CONNECTION[state]);
    pill.dataset.state = state;
  }

  let wasLost = false;
  stream.addEventListener("state", ({ detail: state }) => {
    showConnection(state);
    // Announced once when it is lost and once when it is back, not for each attempt.
    if (state === "waiting" && !wasLost) announce("Connection lost; reconnecting.");
    if (state === "live" && wasLost) announce("Reconnected.");
    if (state !== "connecting") wasLost = state === "waiting";
    refresh();
  });
  store.addEventListener("status", ({ detail: { kind, finalized_through: slot } }) => {
    if (kind === "finalized_through") showFinalized(slot);
    else refresh();
  });
  setInterval(refresh, EVERY_MS);
  showConnection(stream.state);
  refresh();
}

function field(name, title) {
  const value = el("dd", { class: "num" }, "…");
  const node = el("div", { title }, el("dt", {}, name), value);
  return { node, value, setText: (text) => setText(value, text) };
}
