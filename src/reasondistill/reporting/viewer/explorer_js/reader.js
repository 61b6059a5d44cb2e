// One row to read: what the student was asked, what it answered, the references, and the scores of it.

const NUMBER = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

/** A value as a reader sees it; `kind` is its column's. */
function shownValue(kind, value) {
  if (value === null || value === undefined) return "–";
  if (kind === "score") return value.toFixed(3);
  if (kind === "count") return NUMBER.format(value);
  if (kind === "verdict") return value ? "✓ right" : "✗ wrong";
  if (kind === "flag") return value ? "yes" : "no";
  return Array.isArray(value) ? value.join(kind === "tags" ? ", " : " · ") : value;
}

/** A mean as a reader sees it: a share of rows for truth values. */
function shownMean(kind, mean) {
  if (mean === null) return "–";
  if (kind === "score") return mean.toFixed(3);
  return kind === "count" ? mean.toFixed(1) : `${(100 * mean).toFixed(1)}%`;
}

/** A dialog that shows a row; `move(step)` and `closed()` are called when its reader goes on or leaves. */
class Reader {
  constructor(table, { move, closed }) {
    this.table = table;
    this.place = element("p", { class: "place", role: "status" });
    this.body = element("div", { class: "reading", tabindex: "-1" });
    this.previous = element("button", { type: "button", onclick: () => move(-1) }, "← Previous");
    this.next = element("button", { type: "button", onclick: () => move(1) }, "Next →");
    const close = element("button", { type: "button", onclick: () => this.dialog.close() }, "Close");
    const bar = element("div", { class: "bar" }, this.previous, this.next, this.place, close);
    this.dialog = element("dialog", { class: "reader", "aria-label": `${table.title}: one row` }, bar, this.body);
    this.dialog.addEventListener("close", closed);
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    this.dialog.addEventListener("keydown", (event) => this.onKey(event, move));
  }

  onKey(event, move) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const step = { ArrowLeft: -1, k: -1, ArrowRight: 1, j: 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    move(step);
  }

  /** Show the row that stands at `position` (from 0) among `total`. */
  show(row, position, total) {
    this.place.textContent = `${NUMBER.format(position + 1)} of ${NUMBER.format(total)}`;
    this.previous.disabled = position === 0;
    this.next.disabled = position === total - 1;
    this.body.replaceChildren(...this.parts(row));
    this.body.scrollTop = 0;
    if (!this.dialog.open) this.dialog.showModal();
    this.body.focus();
  }

  close() {
    if (this.dialog.open) this.dialog.close();
  }

  value(key, row) {
    return this.table.byKey.get(key)?.values[row] ?? null;
  }

  parts(row) {
    const references = this.value("references", row) ?? [];
    return [
      element("h5", { dir: "auto" }, this.value("id", row)),
      ...this.texts(row),
      element("h6", {}, "Answer"),
      this.answer(row),
      ...this.bars(row),
      element("h6", {}, "Explanation"),
      element("blockquote", { dir: "auto" }, this.value("explanation", row) || "(empty)"),
      ...(references.length ? [element("h6", {}, "References"), referenceList(references)] : []),
      ...this.figures(row),
    ];
  }

  texts(row) {
    const fields = this.table.columns.filter(({ key, values }) => key.startsWith("fields.") && values[row] !== null);
    if (!fields.length) return [];
    return [pairs(fields.map(({ title, values }) => [title, values[row]]))];
  }

  answer(row) {
    const correct = this.value("correct", row);
    const unknown = this.value("gold", row) === null ? "no gold label" : "label not judged";
    const verdict = correct === null ? unknown : shownValue("verdict", correct);
    const mark = element("span", { class: correct === null ? "" : correct ? "right" : "wrong" }, verdict);
    const rest = ["error", "slices"].filter((key) => this.value(key, row)?.length);
    return pairs([
      ["predicted", this.value("label", row) ?? "none"],
      ["gold label", this.value("gold", row) ?? "none"],
      ["verdict", mark],
      ...rest.map((key) => [
        this.table.byKey.get(key).title.toLowerCase(),
        shownValue("tags", [this.value(key, row)].flat()),
      ]),
    ]);
  }

  bars(row) {
    const probabilities = this.value("probabilities", row);
    if (!probabilities?.length) return [];
    const chosen = this.value("label", row);
    return [element("ul", { class: "bars" }, ...probabilities.map(([label, p]) => bar(label, p, label === chosen)))];
  }

  figures(row) {
    const scores = this.table.columns.filter(
      ({ key, kind }) => AVERAGED.has(kind) && key !== "correct" && key !== "confidence",
    );
    if (!scores.length) return [];
    const cells = scores.map(({ title, kind, values }) => [
      element("dt", {}, title),
      element("dd", {}, shownValue(kind, values[row])),
    ]);
    return [
      element("h6", {}, "Scores"),
      element("dl", { class: "scores" }, ...cells.map((cell) => element("div", {}, ...cell))),
    ];
  }
}

function referenceList(texts) {
  const items = texts.map((text) => element("li", {}, element("div", { dir: "auto" }, text)));
  return element("ol", { class: "references" }, ...items);
}
