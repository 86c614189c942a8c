// The operator's page: what /api/status reports. Everybody sees states and numbers, as everywhere in the API;
// the texts of alerts and errors come only to a wallet of OPERATOR_WALLETS that is signed in.

import { read } from "./api.js";
import { el, setText, show } from "./dom.js";
import { fact } from "./fact.js";
import { ago, count, short } from "./format.js";
import { row, showProblem, table } from "./table.js";
import { throttle } from "./throttle.js";

const EVERY_MS = 15_000;

export function operatorView(root, { store, session, announce }) {
  const leaving = new AbortController();
  const { signal } = leaving;
  const access = accessCard(session, announce);
  const figures = {
    seq: fact("Log entries"),
    last: fact("Newest entry"),
    event: fact("Newest event"),
    verified: fact("Verified through"),
    finalized: fact("Final through"),
    completeness: fact("Completeness"),
    consensus: fact("Consensus"),
    wanted: fact("Not fetched yet"),
    deadLetters: fact("Dead letters"),
  };
  const reason = el("p", { class: "muted small about" });
  const problem = el("div", { hidden: true });
  const cards = { alerts: card("Alerts"), keepers: card("Keepers"), gaps: card("Accepted gaps"), marts: card("Marts") };
  show(
    root,
    el(
      "article",
      { class: "page", "aria-labelledby": "operator" },
      el("header", { class: "page-head" }, el("h1", { id: "operator" }, "Operations"), access.node, problem),
      el("dl", { class: "facts even" }, Object.values(figures).map(({ node }) => node)),
      reason,
      Object.values(cards).map(({ node }) => node),
    ),
  );
  document.title = "Operations – ZMART";

  const refresh = throttle(async () => {
    try {
      update(await read("status", {}, { signal, token: session.token }));
      problem.hidden = true;
    } catch (error) {
      if (signal.aborted) return;
      problem.hidden = false;
      showProblem(problem, error, refresh);
    }
  }, 3_000);

  function update(status) {
    access.update(status);
    const { lag, completeness } = status;
    const slot = (number, none) => (number === null ? none : count(number));
    figures.seq.put(count(status.seq), status.seq);
    figures.last.put(ago(lag.last_entry_at), lag.last_entry_at);
    figures.event.put(ago(lag.last_event_at), lag.last_event_at);
    figures.verified.put(slot(status.verified_through, "nothing yet"), status.verified_through);
    figures.finalized.put(slot(status.finalized_through, "nothing yet"), status.finalized_through);
    figures.completeness.put(completeness.state, completeness.state);
    const seconds = completeness.slot_seconds;
    figures.consensus.put(seconds ? `${completeness.consensus}, ${seconds.toFixed(2)} s a slot` : completeness.consensus, `${completeness.consensus} ${seconds}`);
    figures.wanted.put(count(status.wanted), status.wanted);
    figures.deadLetters.put(count(status.dead_letters), status.dead_letters);
    setText(reason, completeness.reason);
    cards.alerts.put(status.alerts, alertsContent);
    cards.keepers.put(status.keepers, keepersContent);
    cards.gaps.put(status.gaps, gapsContent);
    cards.marts.put([status.models, status.scheduled_marts], martsContent);
  }

  store.addEventListener("status", ({ detail }) => detail.kind === "finalized_through" || refresh(), { signal });
  session.addEventListener("change", () => refresh(), { signal });
  const timer = setInterval(refresh, EVERY_MS);
  refresh();
  return {
    close() {
      clearInterval(timer);
      refresh.stop();
      access.close();
      leaving.abort();
    },
  };
}

// --- access -------------------------------------------------------------------------------------------

function accessCard(session, announce) {
  const text = el("p", { class: "muted small about" });
  const problem = el("p", { class: "alerts", role: "alert", hidden: true });
  const buttons = el("div", { class: "buttons" });
  const node = el("section", { class: "access", "aria-label": "Sign-in" }, text, buttons, problem);
  /** Whether the last status had texts: null when it had none to hide. */
  let hasTexts = null;

  const attempt = async (action, done) => {
    problem.hidden = true;
    for (const button of buttons.children) button.disabled = true;
    try {
      await action();
      announce(done);
    } catch (error) {
      problem.hidden = false;
      setText(problem, `Signing in failed: ${error.message}`);
    } finally {
      for (const button of buttons.children) button.disabled = false;
    }
  };
  const button = (name, action) => el("button", { class: "button", type: "button", onclick: action }, name);

  let drawn = null;
  function draw() {
    const found = [...session.wallets.keys()];
    // Buttons that did not change stay: one of them may have the focus.
    const key = JSON.stringify([session.address, found, hasTexts]);
    if (key === drawn) return;
    drawn = key;
    if (session.address) {
      const rest = hasTexts === false ? "It is no wallet of OPERATOR_WALLETS, so texts stay hidden." : "Texts of alerts and errors are shown to wallets of OPERATOR_WALLETS.";
      setText(text, `Signed in as ${short(session.address)}. ${rest}`);
      show(buttons, button("Sign out", () => attempt(() => session.signOut(), "Signed out.")));
    } else {
      const rest = found.length ? "" : " No wallet was found in this browser; the same texts are in zmart alerts.";
      setText(text, `Texts of alerts and errors are for operators: sign in with a wallet of OPERATOR_WALLETS.${rest}`);
      show(buttons, found.map((name) => button(`Sign in with ${name}`, () => attempt(() => session.signIn(name), "Signed in."))));
    }
  }

  session.addEventListener("change", draw);
  draw();
  return {
    node,
    update({ alerts }) {
      hasTexts = alerts.length ? alerts.some(({ details }) => details !== null) : null;
      draw();
    },
    close: () => session.removeEventListener("change", draw),
  };
}

// --- cards --------------------------------------------------------------------------------------------

/** A card whose content is drawn again only when its data changed: ages advance by themselves. */
function card(name) {
  const body = el("div", { class: "tab-body", tabindex: "0", role: "region", "aria-label": name }, el("p", { class: "empty" }, "…"));
  const node = el("section", { class: "card table-card stacked", "aria-label": name }, el("div", { class: "card-head" }, el("h2", {}, name)), body);
  let shown;
  const put = (data, draw) => {
    const key = JSON.stringify(data, (field, value) => (field.endsWith("_age_seconds") ? undefined : value));
    if (key === shown) return;
    shown = key;
    show(body, draw(data));
  };
  return { node, put };
}

const none = (text) => el("p", { class: "empty" }, text);
const level = (name, text) => el("span", { "data-level": name }, ` ${text}`);
const SEVERITIES = { info: "good", warning: "warning", critical: "bad" };

function alertsContent(alerts) {
  if (!alerts.length) return none("No alert is open.");
  const lines = alerts.flatMap((one) => [
    row([one.kind.replaceAll("_", " "), "long-name"], level(SEVERITIES[one.severity], one.severity), count(one.open), ago(one.last_at)),
    ...(one.details ?? []).map((detail) =>
      el(
        "tr",
        { class: "detail" },
        el("td", { colspan: 3 }, detail.subject ? el("strong", {}, `${detail.subject}: `) : null, detail.message, detail.occurrences > 1 ? ` (${count(detail.occurrences)} times)` : null),
        el("td", {}, ago(detail.raised_at)),
      ),
    ),
  ]);
  return table("Open alerts, by kind", ["Alert", "Severity", "Open", "Last"], el("tbody", {}, lines));
}

const OUTCOMES = { worked: "good", skipped: "good", stopped: "warning", failed: "bad" };

function keepersContent(keepers) {
  if (!keepers.length) return none("No keeper is known.");
  const number = (value) => (value === null ? "–" : count(value));
  const lines = keepers.map((one) => {
    const result = one.is_dry ? `${one.outcome}, signed nothing` : one.outcome;
    return row(
      [one.name.replaceAll("_", " "), "long-name"],
      one.outcome ? level(OUTCOMES[one.outcome], result) : el("span", { class: "muted" }, "never ran"),
      number(one.waiting),
      [number(one.due), "middle-only"],
      [number(one.sent), "middle-only"],
      ago(one.last_round_at),
    );
  });
  return table("Keepers", ["Keeper", "Last round", "Waiting", ["Due", "middle-only"], ["Sent", "middle-only"], "When"], el("tbody", {}, lines));
}

function gapsContent(gaps) {
  if (!gaps.length) return none("No gap was accepted.");
  const lines = gaps.flatMap((one) => [
    row([`${count(one.from_slot)} – ${count(one.to_slot)}`, "long-name num"], count(one.missing), count(one.unproven), ago(one.accepted_at)),
    ...(one.reason ? [el("tr", { class: "detail" }, el("td", { colspan: 4 }, one.reason))] : []),
  ]);
  return table("Accepted gaps that are not filled", ["Slots", "Missing", "Unproven", "Accepted"], el("tbody", {}, lines));
}

function martsContent([models, scheduled]) {
  const state = (one) => {
    if (one.is_stale) return level("bad", "stale");
    if (one.is_behind) return level("warning", "retried");
    return one.is_overdue ? level("warning", "not computed") : level("good", "fresh");
  };
  const since = (one) => one.stale_since ?? one.behind_since ?? one.refreshed_at ?? one.built_at;
  const severity = (one) => (one.is_stale ? 0 : one.is_behind || one.is_overdue ? 1 : 2);
  const lines = [...models, ...scheduled]
    .sort((a, b) => severity(a) - severity(b) || (a.name < b.name ? -1 : 1))
    .flatMap((one) => [
      row([one.name.replaceAll("_", " "), "long-name"], state(one), [one.kind ?? "scheduled", "middle-only"], [count(one.applied_seq), "middle-only"], count(one.behind ?? 0), ago(since(one))),
      ...(one.reason ? [el("tr", { class: "detail" }, el("td", { colspan: 6 }, one.reason))] : []),
    ]);
  return table("Marts, the worst first", ["Mart", "State", ["Kind", "middle-only"], ["Entry", "middle-only"], "Behind", "Since"], el("tbody", {}, lines));
}
