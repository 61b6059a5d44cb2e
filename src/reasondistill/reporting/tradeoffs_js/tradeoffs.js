// What a reader chooses, the chart and the table of it, and the link that brings a choice back.

const ANCHOR = "#chart?";

class Tradeoffs {
  constructor(root, data) {
    this.data = data;
    this.choice = this.first();
    this.chart = new Chart();
    this.selects = new Map();
    const turn = () => this.choose("log", this.logarithmic.checked ? "1" : "");
    this.logarithmic = element("input", { type: "checkbox", onchange: turn });
    this.note = element("p", { class: "note", role: "status" });
    this.body = element("tbody");
    this.head = element("thead");
    const title = "The figures of the chart";
    const table = element("table", {}, element("caption", {}, title), this.head, this.body);
    root.replaceChildren(
      element("div", { class: "choices" },
        this.select("x", "Cost", data.axes),
        this.select("y", "Quality", data.metrics),
        this.select("part", "Rows", data.parts),
        this.select("scale", "Scale", data.scales),
        element("label", { class: "box" }, this.logarithmic, "Logarithmic cost")),
      this.note,
      this.chart.root,
      element("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": title }, table),
    );
    window.addEventListener("hashchange", () => this.follow());
    this.follow() || this.redraw();
  }

  first() {
    const { axes, metrics } = this.data;
    return { x: (axes[1] ?? axes[0]).key, y: metrics[0]?.key ?? "", part: "", scale: "measured", log: "1" };
  }

  select(key, title, options) {
    const made = element("select", { "data-key": key, onchange: () => this.choose(key, made.value) });
    made.append(...options.map((option) => element("option", { value: option.key }, option.title)));
    this.selects.set(key, made);
    return element("label", {}, title, made);
  }

  choose(key, value) {
    this.choice = { ...this.choice, [key]: value };
    this.redraw();
    history.replaceState(null, "", ANCHOR + new URLSearchParams(this.choice));
  }

  /** Take a choice out of the page's address; what it names and the page does not know stays as it was. */
  follow() {
    if (!location.hash.startsWith(ANCHOR)) return false;
    const asked = new URLSearchParams(location.hash.slice(ANCHOR.length));
    const known = new Map(Array.from(this.selects, ([key, { options }]) => [key, Array.from(options, (o) => o.value)]));
    known.set("log", ["", "1"]);
    for (const [key, value] of asked) {
      if (known.get(key)?.includes(value)) this.choice[key] = value;
    }
    this.redraw();
    return true;
  }

  redraw() {
    for (const [key, select] of this.selects) select.value = this.choice[key];
    this.logarithmic.checked = this.choice.log === "1";
    const view = viewOf(this.data, this.choice);
    this.chart.show(view);
    this.note.textContent = view.note;
    this.head.replaceChildren(row("th", ["System", view.axis.title, view.yTitle, "95% interval", "Pareto front"]));
    this.body.replaceChildren(...view.points.map((point) => row("td", [
      point.name,
      shownCost(view.axis.key, point.x),
      shownQuality(view, point.value),
      point.low === null ? "–" : shownInterval(view, point),
      view.front === null ? "–" : point.kept ? "yes" : "no",
    ])));
  }
}

function row(tag, texts) {
  const [name, ...rest] = texts;
  const scope = tag === "th" ? "col" : "row";
  return element("tr", {}, element("th", { scope, dir: "auto" }, name), ...rest.map((text) => element(tag, {}, text)));
}

/** The points of a choice, and all that has to be said of them. `front` is null where there is none to draw. */
function viewOf(data, choice) {
  const axis = data.axes.find(({ key }) => key === choice.x);
  const metric = data.metrics.find(({ key }) => key === choice.y) ?? { key: "", title: "Quality", unit: true };
  const scale = data.scales.find(({ key }) => key === choice.scale);
  const part = data.parts.find(({ key }) => key === choice.part);
  const figures = data.points[metric.key]?.[part.key]?.[scale.key] ?? [];
  const front = data.fronts[metric.key]?.[part.key]?.[axis.key] ?? null;
  const points = [];
  for (const [place, figure] of figures.entries()) {
    const { name, costs } = data.systems[place];
    if (figure === null || costs[axis.key] === undefined) continue;
    const [value, low, high] = figure;
    points.push({ name, x: costs[axis.key], value, low, high, kept: front !== null && front.includes(place) });
  }
  points.sort((a, b) => a.x - b.x);
  const better = metric.lower ? " (lower is better)" : "";
  const rows = part.key ? `, gold label ${part.title}` : "";
  const shares = scale.key === "measured" ? "" : `, ${scale.title}`;
  return {
    axis,
    metric,
    front,
    points,
    scale: scale.key,
    joined: axis.key === "compression",
    logarithmic: choice.log === "1",
    dearer: axis.key === "examples_per_second" ? -1 : 1,
    xTitle: axis.title + (axis.unit && !axis.key.endsWith("_bytes") ? `, ${axis.unit}` : ""),
    yTitle: metric.title + better + rows + shares,
    note: noteOn(data, { axis, metric, points, front, scale, part }),
  };
}

function noteOn(data, { axis, metric, points, front, scale, part }) {
  if (!points.length) {
    const where = part.key ? `on rows of gold label ${part.title}` : "on all rows";
    return `${metric.title} has no figures ${where} on the scale “${scale.title}”: see the tables below.`;
  }
  const kept = scale.key === "measured" ? "" : ` Of ${data.reference}'s quality, 100% is all.`;
  if (axis.unlike) return `Not comparable: measured under different conditions, so there is no front.${kept}`;
  if (axis.key === "compression") return `A dashed line joins the systems by size; it is no front.${kept}`;
  return `Squares and steps: the Pareto front. Lines: 95% intervals; a system may be on it by chance.${kept}`;
}

new Tradeoffs(document.getElementById("tradeoffs"), JSON.parse(document.getElementById("data").textContent));
