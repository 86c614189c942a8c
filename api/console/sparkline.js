// A line the size of a word: the recent price of YES. It decorates a row that has the same information as
// text, so it is hidden from screen readers.

import { svg } from "./dom.js";

const WIDTH = 84;
const HEIGHT = 28;
const PAD = 3;
/** Below this range the line would exaggerate noise. */
const LEAST_RANGE = 0.04;

export function sparkline() {
  const line = svg("polyline", { class: "spark-line", points: "" });
  const dot = svg("circle", { class: "spark-dot", r: "2.2", cx: "-9", cy: "-9" });
  const node = svg(
    "svg",
    { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, "aria-hidden": "true" },
    line,
    dot,
  );
  return { node, draw: (prices) => draw(node, line, dot, prices) };
}

function draw(node, line, dot, prices) {
  if (!prices || prices.length < 2) return;
  const [low, high] = range(prices);
  const x = (index) => PAD + (index / (prices.length - 1)) * (WIDTH - 2 * PAD);
  const y = (price) => HEIGHT - PAD - ((price - low) / (high - low)) * (HEIGHT - 2 * PAD);
  line.setAttribute("points", prices.map((price, i) => `${x(i).toFixed(1)},${y(price).toFixed(1)}`).join(" "));
  dot.setAttribute("cx", x(prices.length - 1));
  dot.setAttribute("cy", y(prices.at(-1)));
  node.classList.toggle("is-down", prices.at(-1) < prices[0]);
}

function range(prices) {
  const [low, high] = [Math.min(...prices), Math.max(...prices)];
  const missing = Math.max(0, LEAST_RANGE - (high - low)) / 2;
  return [low - missing, high + missing];
}
