// Candles of YES with their volume. The API computes the candles; the stream only updates the last one at
// once, and its exact figures (volume, trades) are read again a moment later.

import {
  CandlestickSeries,
  ColorType,
  createChart,
  CrosshairMode,
  HistogramSeries,
  LineStyle,
} from "./vendor/lightweight-charts-5.2.1/lightweight-charts.mjs";
import { read } from "./api.js";
import { percent, units } from "./format.js";
import { el, setText, show } from "./dom.js";
import { throttle } from "./throttle.js";

export const INTERVALS = { "1m": 60, "5m": 300, "1h": 3_600, "1d": 86_400 };
const NAMES = { "1m": "1 minute", "5m": "5 minutes", "1h": "1 hour", "1d": "1 day" };
const PAGE = 300;
/** The price of YES before the first trade. */
const START = 0.5;

/** The width at which a market of this age has a few dozen candles. */
export function widthForAge(createdAt, until = Date.now()) {
  const hours = (until - Date.parse(createdAt)) / 3_600_000;
  return hours < 3 ? "1m" : hours < 24 ? "5m" : hours < 24 * 21 ? "1h" : "1d";
}

export function candleChart(marketId) {
  const legend = el("div", { class: "legend num small", "aria-hidden": "true" });
  // The library lays out with a table; screen readers get one picture with a description instead.
  const plot = el("div", { class: "plot", "aria-hidden": "true" });
  const canvas = el("div", { class: "canvas", role: "img", "aria-label": "Candles" }, plot);
  const message = el("p", { class: "chart-message" });
  const node = el("div", { class: "chart is-loading" }, legend, canvas, message);

  const chart = createChart(plot, options());
  const prices = chart.addSeries(CandlestickSeries, {
    priceFormat: { type: "custom", minMove: 0.0001, formatter: (price) => percent(price) },
    borderVisible: true,
    // A falling candle is hollow, and its body's colour would be that of the label: ours is drawn below.
    lastValueVisible: false,
    priceLineVisible: false,
  });
  const lastPrice = prices.createPriceLine({ price: 0.5, lineStyle: LineStyle.Dotted, lineVisible: false, axisLabelVisible: false });
  const volumes = chart.addSeries(HistogramSeries, {
    priceScaleId: "volume",
    priceFormat: { type: "volume" },
    lastValueVisible: false,
    priceLineVisible: false,
  });
  chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });
  chart.priceScale("right").applyOptions({ scaleMargins: { top: 0.1, bottom: 0.24 } });

  let colors = paint();
  let interval = null;
  /** bucket (Unix seconds) -> candle as the API sent it, or as the stream changed it. */
  let candles = new Map();
  /** The same as they are displayed: joined, without holes. */
  let drawn = new Map();
  let hasOlder = false;
  let isReadingOlder = false;
  let reading = new AbortController();

  function paint() {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const found = {
      up: color("--yes"),
      down: color("--no"),
      upVolume: color("--yes-soft"),
      downVolume: color("--no-soft"),
      onLabel: color("--on-yes"),
    };
    chart.applyOptions({
      layout: { background: { type: ColorType.Solid, color: "transparent" }, textColor: color("--muted") },
      grid: { vertLines: { color: color("--grid") }, horzLines: { color: color("--grid") } },
      rightPriceScale: { borderColor: color("--line") },
      timeScale: { borderColor: color("--line") },
      crosshair: { vertLine: { labelBackgroundColor: color("--label") }, horzLine: { labelBackgroundColor: color("--label") } },
    });
    // Up is filled, down is hollow, so the difference does not depend on colour.
    prices.applyOptions({
      upColor: found.up,
      borderUpColor: found.up,
      wickUpColor: found.up,
      downColor: color("--surface"),
      borderDownColor: found.down,
      wickDownColor: found.down,
    });
    return found;
  }

  const repaint = () => {
    colors = paint();
    draw();
  };
  addEventListener("themechange", repaint);

  /** Read the newest candles of a width. */
  async function choose(width) {
    interval = width;
    reading.abort();
    reading = new AbortController();
    node.classList.add("is-loading");
    setText(message, "");
    try {
      const answer = await readCandles({ limit: PAGE });
      candles = byTime(answer.candles);
      hasOlder = answer.candles.length === PAGE;
      draw();
      frame();
      if (!candles.size) setText(message, "Not traded yet. Every market begins at 50%.");
    } catch (error) {
      if (error.name !== "AbortError") setText(message, `The candles cannot be loaded: ${error.message}`);
    } finally {
      node.classList.remove("is-loading");
    }
  }

  const readCandles = (parameters) =>
    read(`markets/${marketId}/candles`, { interval, ...parameters }, { signal: reading.signal });

  /** Read the last candles exactly, after an event. */
  const refresh = throttle(async () => {
    const from = [...candles.keys()].at(-1);
    const answer = await readCandles({ limit: PAGE, from: from ? String(from - INTERVALS[interval]) : null });
    const hadNone = !candles.size;
    for (const [time, candle] of byTime(answer.candles)) candles.set(time, candle);
    if (candles.size) setText(message, "");
    draw();
    if (hadNone) frame();
  }, 6_000);

  /** Add a trade; its price is displayed at once. */
  function move(trade) {
    const width = INTERVALS[interval];
    const time = Math.floor(Date.parse(trade.block_time) / 1000 / width) * width;
    const last = [...candles.keys()].at(-1) ?? 0;
    const price = trade.price_after;
    if (time >= last) {
      const now = candles.get(time) ?? { time, open: price, high: price, low: price, close: price, volume: "0", trades: 0 };
      candles.set(time, { ...now, close: price, high: Math.max(now.high, price), low: Math.min(now.low, price) });
      draw();
    }
    refresh();
  }

  async function readOlder() {
    isReadingOlder = true;
    const first = candles.keys().next().value;
    const answer = await readCandles({ limit: PAGE, to: String(first) }).catch(() => null);
    isReadingOlder = false;
    if (!answer) return;
    candles = new Map([...byTime(answer.candles), ...candles]);
    hasOlder = answer.candles.length === PAGE;
    draw();
  }

  function draw() {
    drawn = join([...candles.values()], INTERVALS[interval], { isWhole: !hasOlder });
    const all = [...drawn.values()];
    prices.setData(all);
    volumes.setData(
      all.map((c) => ({ time: c.time, value: Number(c.volume) / 1e9, color: c.close >= c.open ? colors.upVolume : colors.downVolume })),
    );
    markLast(all.at(-1));
    describe(all);
    showLegend(all.at(-1));
  }

  function markLast(candle) {
    if (!candle) return;
    const color = candle.close >= candle.open ? colors.up : colors.down;
    lastPrice.applyOptions({ price: candle.close, color, axisLabelColor: color, axisLabelTextColor: colors.onLabel, lineVisible: true, axisLabelVisible: true });
  }

  /** The newest candles, none of them wider than a finger. */
  function frame() {
    const all = drawn.size;
    chart.timeScale().setVisibleLogicalRange({ from: all - Math.min(Math.max(all, 36), 90), to: all + 2 });
  }

  function describe(all) {
    const text = all.length
      ? `${all.length} candles of YES, ${NAMES[interval]} each: from ${percent(all[0].open)} to ${percent(all.at(-1).close)}, ` +
        `between ${percent(Math.min(...all.map((c) => c.low)))} and ${percent(Math.max(...all.map((c) => c.high)))}.`
      : "No candles yet.";
    canvas.setAttribute("aria-label", text);
  }

  function showLegend(candle) {
    if (!candle) return show(legend);
    const pair = (name, text) => [el("span", { class: "muted" }, name), `${text} `];
    return show(
      legend,
      pair("O ", percent(candle.open)),
      pair("H ", percent(candle.high)),
      pair("L ", percent(candle.low)),
      pair("C ", percent(candle.close)),
      pair("Vol ", `${units(candle.volume, 1)} SOL`),
    );
  }

  chart.subscribeCrosshairMove(({ time }) => showLegend(drawn.get(time) ?? [...drawn.values()].at(-1)));
  chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
    if (range && range.from < 5 && hasOlder && !isReadingOlder) readOlder();
  });

  return {
    node,
    choose,
    move,
    close() {
      refresh.stop();
      reading.abort();
      removeEventListener("themechange", repaint);
      chart.remove();
    },
  };
}

/**
 * Candles that join: only trades move the price, so each opens where the one before it closed, and where nothing
 * was traded the price is a flat line. A market's first candle opens at the 50% at which every market begins.
 *
 * The API's candles open at the price after their first trade, and the stream may skip some that are empty.
 */
export function join(candles, width, { isWhole }) {
  const joined = new Map();
  let before = isWhole ? START : null;
  let due = null;
  for (const candle of candles) {
    const holes = due === null ? 0 : (candle.time - due) / width;
    for (let hole = 0; hole < Math.min(holes, PAGE); hole++) {
      const time = candle.time - (Math.min(holes, PAGE) - hole) * width;
      joined.set(time, { time, open: before, high: before, low: before, close: before, volume: "0", trades: 0 });
    }
    const open = before ?? candle.open;
    joined.set(candle.time, { ...candle, open, high: Math.max(open, candle.high), low: Math.min(open, candle.low) });
    before = candle.close;
    due = candle.time + width;
  }
  return joined;
}

function byTime(candles) {
  return new Map(
    candles.map((c) => {
      const time = Date.parse(c.bucket_at) / 1000;
      return [
        time,
        { time, open: c.open_price, high: c.high_price, low: c.low_price, close: c.close_price, volume: c.volume, trades: c.trades_count },
      ];
    }),
  );
}

/** The library displays UTC; labels show the local time. A day's candle shows its UTC date. */
function options() {
  const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
  const both = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  // Kinds of tick marks: 0 year, 1 month, 2 day, 3 time, 4 time with seconds.
  const mark = (time, kind) => (kind >= 3 ? clock : day).format(time * 1000);
  return {
    autoSize: true,
    // Its credit and link are in the help; its logo would add styles of its own.
    layout: { attributionLogo: false, fontFamily: "inherit", fontSize: 11 },
    localization: { timeFormatter: (time) => both.format(time * 1000) },
    timeScale: { timeVisible: true, secondsVisible: false, tickMarkFormatter: mark, rightOffset: 2 },
    crosshair: { mode: CrosshairMode.Normal },
    handleScale: { axisPressedMouseMove: { price: false } },
    // The page scrolls under a finger; the chart pans sideways.
    handleScroll: { vertTouchDrag: false },
  };
}
