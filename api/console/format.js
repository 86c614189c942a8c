// Numbers and times for display. Amounts arrive as decimal strings of lamports (or billionths of a share)
// and stay integers until the last step; the exact figure is always in the title.

import { el, setText } from "./dom.js";

/** Decimals of an amount: a thousandth of a SOL. */
const DECIMALS = 3;
const GROUPED = new Intl.NumberFormat("en");
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** 1234567890 -> "1.235". Every amount has the same decimals, so that those of a column stand under each other. */
export function units(exact, decimals = DECIMALS) {
  const value = BigInt(exact);
  const size = value < 0n ? -value : value;
  const scale = 10n ** BigInt(9 - decimals);
  const rounded = (size + scale / 2n) / scale;
  const one = 10n ** BigInt(decimals);
  // Zero would be wrong for an amount that only rounds to it.
  if (size > 0n && rounded === 0n) return `${value < 0n ? ">−" : "<"}0.${"1".padStart(decimals, "0")}`;
  return `${value < 0n ? "−" : ""}${GROUPED.format(rounded / one)}.${String(rounded % one).padStart(decimals, "0")}`;
}

/** An amount without its unit, for a column whose head names it; lamports on hover. */
export function amount(exact) {
  return figure(exact, (given) => units(given));
}

/** An amount of SOL, with its lamports on hover. */
export function sol(exact, decimals = DECIMALS) {
  return figure(exact, (given) => `${units(given, decimals)} SOL`);
}

/** A gain or a loss: the sign is always written, because colour alone does not reach everybody. */
export function profit(exact) {
  const node = figure(exact, (given) => (BigInt(given) > 0n ? `+${units(given)}` : units(given)));
  if (exact) node.dataset.sign = BigInt(exact) > 0n ? "1" : BigInt(exact) < 0n ? "-1" : "0";
  return node;
}

function figure(exact, write) {
  if (exact === null || exact === undefined) return el("span", { class: "muted" }, "–");
  return el("span", { class: "num", title: `${GROUPED.format(BigInt(exact))} lamports` }, write(exact));
}

/** A number of shares, with all nine decimals on hover. */
export function shares(exact) {
  return el("span", { class: "num", title: `${GROUPED.format(BigInt(exact))} billionths of a share` }, units(exact));
}

/** 0.5640 -> "56.4%". */
export const percent = (price, digits = 1) => (price === null || price === undefined ? "–" : `${(price * 100).toFixed(digits)}%`);

export const count = (number) => GROUPED.format(number);

/** "6VF8…4dWg": enough of an address to distinguish it from others; the whole of it on hover. */
export function short(text, head = 4) {
  return text.length > head + 5 ? `${text.slice(0, head)}…${text.slice(-4)}` : text;
}

/** A wallet, linked to its page. */
export const wallet = (text) => el("a", { class: "mono wallet", href: `#/wallet/${text}`, title: text }, short(text));

/** A button that shows a shortened text and copies the whole of it; `name` is its name for screen readers. */
export function copyable(text, name, head = 6) {
  const copied = () => setText(button, "copied");
  const copy = () => navigator.clipboard?.writeText(text).then(copied, () => {});
  const label = `Copy ${name} ${short(text, head)}`;
  const button = el("button", { class: "plain mono", type: "button", title: `${text}\nCopy`, "aria-label": label, onclick: copy }, short(text, head));
  return button;
}

// --- times ------------------------------------------------------------------------------------------

/** The age of an instant. The clocks of chain and browser differ: an instant in the future counts as now. */
function since(instant, now = Date.now()) {
  const seconds = Math.round((now - instant) / 1000);
  if (seconds < 5) return "now";
  return seconds < 30 * 86_400 ? `${span(seconds)} ago` : DAY.format(instant);
}

/** The time until an instant, or its age when it has passed. */
function until(instant, now = Date.now()) {
  return instant > now ? `in ${span(Math.round((instant - now) / 1000))}` : since(instant, now);
}

function span(seconds) {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h${seconds < 21_600 ? ` ${Math.floor((seconds % 3600) / 60)} min` : ""}`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** An element with the age of an instant, which is updated. */
export function ago(text) {
  if (!text) return el("span", { class: "muted" }, "–");
  const instant = Date.parse(text);
  return el("time", { datetime: text, title: EXACT.format(instant), "data-at": instant }, since(instant));
}

/** An element with the time until an instant, counted down. */
export function deadline(text) {
  const instant = Date.parse(text);
  return el("time", { datetime: text, title: EXACT.format(instant), "data-until": instant }, until(instant));
}

/** Update every time on the page; called once a second, and cheap: most texts do not change. */
export function tick() {
  const now = Date.now();
  for (const node of document.querySelectorAll("time[data-at]")) setText(node, since(Number(node.dataset.at), now));
  for (const node of document.querySelectorAll("time[data-until]")) setText(node, until(Number(node.dataset.until), now));
}
