// Axes: from a figure to a place, round ticks, and how figures are written. Nothing here touches the page.

const DIGITS = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const THOUSANDS = [[1e12, " T"], [1e9, " G"], [1e6, " M"], [1e3, " k"]];
const BYTES = [[2 ** 30, " GiB"], [2 ** 20, " MiB"], [2 ** 10, " KiB"]];
const MARGIN = 0.08; // of the span, beyond the outermost figures

/** A cost as a reader sees it, with its unit. */
function shownCost(key, value) {
  if (key === "compression") return `${DIGITS.format(value)}×`;
  if (key === "latency_ms_p50") return `${DIGITS.format(value)} ms`;
  if (key === "examples_per_second") return `${DIGITS.format(value)}/s`;
  if (key === "joules_per_example") return `${DIGITS.format(value)} J`;
  const units = key.endsWith("_bytes") ? BYTES : THOUSANDS;
  const [factor, unit] = units.find(([size]) => value >= size) ?? [1, units === BYTES ? " B" : ""];
  return DIGITS.format(value / factor) + unit;
}

/** A quality as a reader sees it: a share in percent, figures in [0, 1] with three decimals, others with one. */
function shownQuality(view, value) {
  if (view.scale !== "measured") return `${(100 * value).toFixed(1)}%`.replace("-", "−");
  return value.toFixed(view.metric.unit ? 3 : 1).replace("-", "−");
}

/** The interval of a point that has one. */
function shownInterval(view, point) {
  return `${shownQuality(view, point.low)} to ${shownQuality(view, point.high)}`;
}

/** A scale from figures to places between `from` and `to`; its domain goes a little beyond the figures. */
function makeScale(values, from, to, logarithmic = false) {
  const turn = logarithmic ? Math.log : (value) => value;
  const back = logarithmic ? Math.exp : (value) => value;
  let [low, high] = [turn(Math.min(...values)), turn(Math.max(...values))];
  const spare = high > low ? MARGIN * (high - low) : logarithmic ? 0.5 : Math.abs(high) * 0.1 || 0.5;
  [low, high] = [low - spare, high + spare];
  const place = (value) => from + ((turn(value) - low) / (high - low)) * (to - from);
  return { place, ticks: logarithmic ? logTicks(back(low), back(high)) : linearTicks(low, high) };
}

/** Some four to eight round figures between two. */
function linearTicks(low, high) {
  const rough = (high - low) / 6;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const first = Math.ceil(low / step);
  const many = Math.floor(high / step) - first + 1;
  return Array.from({ length: many }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** 1, 2 and 5 times powers of ten between two figures; where these are fewer than two, round figures. */
function logTicks(low, high) {
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
    ticks.push(...[1, 2, 5].map((factor) => factor * 10 ** power).filter((tick) => tick >= low && tick <= high));
  }
  if (ticks.length < 2) return linearTicks(low, high).filter((tick) => tick > 0);
  const powers = ticks.filter((tick) => /^1(e|0|\.|$)|^0\.0*1$/.test(String(tick)));
  return ticks.length > 8 && powers.length > 1 ? powers : ticks;
}
