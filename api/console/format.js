// Numbers and times for display. Amounts arrive as decimal strings of lamports (or billionths of a share)
// and stay integers until the last step; the exact figure is always in the title.

import { el, setText } from "./dom.js";

const UNIT = 1_000_000_000n;
const GROUPED = new Intl.NumberFormat("en");
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** 1234567890 -> "1.23"; the smaller the amount, the more digits. */
export function units(exact) {
  const value = BigInt(exact);
  const size = value < 0n ? -value : value;
  const digits = size === 0n || size >= 1000n * UNIT ? 0 : size >= UNIT / 10n ? 2 : 4;
  const scale = 10n ** BigInt(9 - digits);
  const rounded = (size + scale / 2n) / scale;
  const one = 10n ** BigInt(digits);
  const fraction = digits ? `.${String(rounded % one).padStart(digits, "0")}` : "";
  return `${value < 0n ? "−" : ""}${GROUPED.format(rounded / one)}${fraction}`;
}

/** An amount of SOL, with its lamports on hover. */
export function sol(exact) {
  if (exact === null || exact === undefined) return el("span", { class: "muted" }, "–");
  return el("span", { class: "num", title: `${GROUPED.format(BigInt(exact))} lamports` }, `${units(exact)} SOL`);
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

export const address = (text) => el("span", { class: "mono", title: text }, short(text));

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
