// The chart: a point for each system with its interval, the Pareto front, and what a point says when pointed at.

const WIDTH = 900;
const HEIGHT = 480;
const INSIDE = { left: 84, right: 30, top: 20, bottom: 62 };
const CAP = 5; // half the width of an interval's ends

/** An SVG element; strings among its children become text. */
function shape(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

class Chart {
  constructor() {
    this.tip = element("div", { class: "tip", role: "status", hidden: true });
    this.drawing = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "group" });
    this.root = element("div", { class: "plot" }, this.drawing, this.tip);
    this.root.addEventListener("keydown", (event) => event.key === "Escape" && this.quiet());
  }

  /** Draw the points of a view, as `viewOf` makes it. */
  show(view) {
    this.quiet();
    this.drawing.setAttribute("aria-label", `${view.yTitle} over ${view.xTitle}`);
    if (!view.points.length) {
      const where = { x: WIDTH / 2, y: HEIGHT / 2, "text-anchor": "middle" };
      this.drawing.replaceChildren(shape("text", where, "No figures for this choice."));
      return;
    }
    const x = makeScale(view.points.map((p) => p.x), INSIDE.left, WIDTH - INSIDE.right, view.logarithmic);
    const heights = view.points.flatMap((p) => [p.value, p.low, p.high]).filter((value) => value !== null);
    const y = makeScale(heights, HEIGHT - INSIDE.bottom, INSIDE.top);
    this.drawing.replaceChildren(
      ...this.axes(view, x, y),
      ...this.line(view, x, y),
      ...view.points.map((point) => this.dot(view, point, x, y)),
    );
  }

  axes(view, x, y) {
    const bottom = HEIGHT - INSIDE.bottom;
    const right = WIDTH - INSIDE.right;
    const across = y.ticks.flatMap((tick) => [
      shape("line", { class: "grid", x1: INSIDE.left, x2: right, y1: y.place(tick), y2: y.place(tick) }),
      shape("text", { x: INSIDE.left - 10, y: y.place(tick) + 4, "text-anchor": "end" }, shownTick(view, tick, y)),
    ]);
    const along = x.ticks.flatMap((tick) => [
      shape("line", { class: "grid", x1: x.place(tick), x2: x.place(tick), y1: INSIDE.top, y2: bottom }),
      shape("text", { x: x.place(tick), y: bottom + 20, "text-anchor": "middle" }, shownCost(view.axis.key, tick)),
    ]);
    const turned = `translate(18 ${(INSIDE.top + bottom) / 2}) rotate(-90)`;
    return [
      ...across,
      ...along,
      shape("text", { class: "axis", x: right, y: HEIGHT - 12, "text-anchor": "end" }, view.xTitle),
      shape("text", { class: "axis", "text-anchor": "middle", transform: turned }, view.yTitle),
    ];
  }

  /** The Pareto front as steps, or, over compression, a line from system to system. */
  line(view, x, y) {
    const chosen = view.points.filter((point) => view.joined || point.kept);
    if (chosen.length < 2) return [];
    const places = chosen.map((point) => [x.place(point.x), y.place(point.value)]);
    if (view.joined) {
      return [shape("path", { class: "path", d: `M${places.map((place) => place.join(" ")).join("L")}` })];
    }
    // What is reached at a cost is reached at any higher one: the step is level on the dearer side.
    const steps = places.slice(1).map(([px, py], i) => (view.dearer > 0 ? `H${px}V${py}` : `V${py}H${px}`));
    return [shape("path", { class: "front", d: `M${places[0].join(" ")}${steps.join("")}` })];
  }

  dot(view, point, x, y) {
    const [px, py] = [x.place(point.x), y.place(point.value)];
    const parts = [];
    if (point.low !== null) {
      const [top, bottom] = [y.place(point.high), y.place(point.low)];
      const path = `M${px} ${top}V${bottom}M${px - CAP} ${top}h${2 * CAP}M${px - CAP} ${bottom}h${2 * CAP}`;
      parts.push(shape("path", { class: "interval", d: path }));
    }
    const square = { class: "mark", x: px - 6, y: py - 6, width: 12, height: 12 };
    parts.push(point.kept ? shape("rect", square) : shape("circle", { class: "mark", cx: px, cy: py, r: 6 }));
    const atEnd = px > WIDTH - 180;
    const label = { class: "name", x: px + (atEnd ? -12 : 12), y: py - 9, "text-anchor": atEnd ? "end" : "start" };
    parts.push(shape("text", label, point.name.length > 28 ? `${point.name.slice(0, 27)}…` : point.name));
    const words = described(view, point).join(", ");
    const look = point.kept ? "dot kept" : "dot";
    const dot = shape("g", { class: look, tabindex: "0", role: "img", "aria-label": words }, ...parts);
    const say = () => this.say(view, point, px, py);
    for (const name of ["pointerenter", "focus", "click"]) dot.addEventListener(name, say);
    for (const name of ["pointerleave", "blur"]) dot.addEventListener(name, () => this.quiet());
    return dot;
  }

  say(view, point, px, py) {
    const [name, ...lines] = described(view, point);
    this.tip.replaceChildren(element("b", {}, name), ...lines.map((line) => element("div", {}, line)));
    this.tip.hidden = false;
    const box = this.drawing.getBoundingClientRect();
    const around = this.root.getBoundingClientRect();
    const left = box.left - around.left + (px / WIDTH) * box.width;
    const top = box.top - around.top + (py / HEIGHT) * box.height;
    this.tip.style.left = `${Math.max(0, Math.min(left + 14, around.width - this.tip.offsetWidth - 4))}px`;
    this.tip.style.top = `${Math.max(0, top - this.tip.offsetHeight - 14)}px`;
  }

  quiet() {
    this.tip.hidden = true;
  }
}

/** What there is to say of a point: its name, its figures, whether it is on the front. */
function described(view, point) {
  const within = point.low === null ? "" : ` (95% interval ${shownInterval(view, point)})`;
  const front = view.front === null ? [] : [point.kept ? "on the Pareto front" : "beaten by another system"];
  return [
    point.name,
    `${view.yTitle}: ${shownQuality(view, point.value)}${within}`,
    `${view.axis.title}: ${shownCost(view.axis.key, point.x)}`,
    ...front,
  ];
}

/** A tick of the quality's axis, with as many decimals as tell neighbours apart. */
function shownTick(view, tick, { ticks }) {
  const factor = view.scale === "measured" ? 1 : 100;
  const step = ticks.length > 1 ? factor * (ticks[1] - ticks[0]) : factor;
  const decimals = Math.min(6, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
  return (factor * tick).toFixed(decimals).replace("-", "−") + (factor === 100 ? "%" : "");
}
