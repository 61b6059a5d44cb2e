// A table of rows on the page: controls, means, one page of rows at a time, and the link that brings a view back.

const CELL_TEXT = 280; // characters of a text in a cell; the reading view has all of it
const WRAPPED = new Set(["text", "texts", "tags"]); // shown on several lines
const LINK_DELAY = 200; // milliseconds after the last change; browsers refuse to take links too fast

class Explorer {
  constructor(root, table) {
    this.root = root;
    this.table = table;
    this.state = freshState(table);
    this.unknown = [];
    this.rows = [];
    const everything = Array.from({ length: table.size }, (_, row) => row);
    this.overall = new Map(
      table.columns.filter(({ kind }) => AVERAGED.has(kind)).map((column) => [column, meanOf(column, everything).mean]),
    );
    this.controls = new Controls(table, {
      change: (edit) => this.change(edit),
      arrange: (edit) => this.arrange(edit),
    });
    this.reader = new Reader(table, { move: (step) => this.move(step), closed: () => this.closed() });
    root.replaceChildren(...this.layout());
    this.redrawHead();
    this.follow(location.hash) || this.refresh();
    window.addEventListener("hashchange", () => this.follow(location.hash));
  }

  // Layout

  layout() {
    this.tally = element("p", { class: "tally", role: "status" });
    this.clearing = element("button", { type: "button", onclick: () => this.clear() }, "Clear filters");
    this.means = element("dl", { class: "means", "aria-label": "Means over the rows shown" });
    // The roles are those the elements have by themselves, and lose where a narrow screen shows rows as cards.
    this.head = element("thead", { role: "rowgroup" });
    this.body = element("tbody", { role: "rowgroup" });
    const caption = element("caption", { class: "unseen" }, this.table.title);
    const grid = element("table", { role: "table" }, caption, this.head, this.body);
    const region = { class: "scroll", role: "region", tabindex: "0", "aria-label": this.table.title };
    return [
      this.controls.filters,
      this.controls.folds,
      element("div", { class: "bar" }, this.tally, this.clearing),
      this.means,
      element("div", region, grid),
      element("div", { class: "bar" }, ...this.pager(), ...this.exports()),
      this.reader.dialog,
    ];
  }

  pager() {
    const button = (name, to) => element("button", { type: "button", onclick: () => this.turn(to()) }, name);
    this.back = button("← Previous rows", () => this.state.page - 1);
    this.forth = button("Next rows →", () => this.state.page + 1);
    this.where = element("span", { class: "place" });
    return [this.back, this.forth, this.where];
  }

  exports() {
    this.exported = element("span", { class: "place", role: "status" });
    const button = (name, act) => element("button", { type: "button", onclick: act }, name);
    return [
      this.exported,
      button("Copy as CSV", () => this.copy()),
      button("Download CSV", () => this.download("csv", "text/csv", toCsv)),
      button("Download JSONL", () => this.download("jsonl", "application/x-ndjson", toJsonLines)),
    ];
  }

  // What a reader does

  /** Change the filters: shows the first page of what they let through. */
  change(edit) {
    edit(this.state);
    this.state.page = 0;
    this.unknown = [];
    this.refresh();
    this.link();
  }

  /** Change which columns are shown. */
  arrange(edit) {
    edit(this.state);
    this.redrawHead();
    this.redrawRows();
    this.link();
  }

  clear() {
    this.change((state) => Object.assign(state, { query: "", choices: new Map(), ranges: new Map() }));
    this.root.querySelector(".search input").focus(); // the button itself has nothing to do any more
  }

  /** Ascending, then descending, then the file's order again. */
  sortBy(key) {
    const { sort } = this.state;
    const again = sort?.key === key;
    this.change((state) => (state.sort = again && sort.descending ? null : { key, descending: again }));
  }

  turn(page) {
    this.state.page = page;
    this.redrawRows();
    this.link();
  }

  open(position) {
    this.state.open = this.rows[position];
    this.showOpen();
    this.link();
  }

  move(step) {
    const position = this.rows.indexOf(this.state.open) + step;
    if (position < 0 || position >= this.rows.length) return;
    const page = Math.floor(position / ROWS_PER_VIEW);
    if (page !== this.state.page) this.turn(page);
    this.open(position);
  }

  showOpen() {
    const position = this.rows.indexOf(this.state.open);
    if (position < 0) {
      this.state.open = null;
      this.reader.close();
    } else {
      this.reader.show(this.state.open, position, this.rows.length);
    }
  }

  closed() {
    const row = this.state.open;
    this.state.open = null;
    this.link();
    this.body.querySelector(`button[data-row="${row}"]`)?.focus();
  }

  /** Show what a link describes; false where it is not about this table. */
  follow(hash) {
    const found = fromHash(this.table, hash);
    if (!found) return false;
    Object.assign(this, found);
    this.redrawHead();
    this.refresh();
    if (this.state.open !== null)
      this.state.page = Math.max(0, Math.floor(this.rows.indexOf(this.state.open) / ROWS_PER_VIEW));
    for (let fold = this.root.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    this.root.scrollIntoView({ behavior: "instant" });
    this.redrawRows();
    this.showOpen();
    return true;
  }

  /** Put the view into the page's address, once its reader pauses. */
  link() {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => history.replaceState(null, "", `#${toHash(this.table, this.state)}`), LINK_DELAY);
  }

  async copy() {
    try {
      await navigator.clipboard.writeText(toCsv(this.table, this.rows));
      this.say(`${NUMBER.format(this.rows.length)} rows copied.`);
    } catch {
      this.say("This browser does not let the page copy. Download the file instead.");
    }
  }

  download(ending, type, write) {
    const url = URL.createObjectURL(new Blob([write(this.table, this.rows)], { type: `${type};charset=utf-8` }));
    element("a", { href: url, download: `${this.table.anchor}.${ending}` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000); // the browser still reads it after the click
    this.say(`${NUMBER.format(this.rows.length)} rows written to ${this.table.anchor}.${ending}.`);
  }

  say(words) {
    this.exported.textContent = words;
  }

  // Drawing

  refresh() {
    this.rows = rowsOf(this.table, this.state);
    this.say("");
    this.controls.sync(this.state);
    this.redrawCount();
    this.redrawMeans();
    this.redrawOrder();
    this.redrawRows();
  }

  redrawCount() {
    this.clearing.disabled = !isFiltered(this.state);
    const shown = `${NUMBER.format(this.rows.length)} of ${NUMBER.format(this.table.size)} rows`;
    const unknown = this.unknown.length
      ? ` Not known here, and left out of the link's view: ${this.unknown.join(", ")}.`
      : "";
    this.tally.textContent = (this.rows.length ? `${shown}.` : `${shown}: none fits these filters.`) + unknown;
  }

  redrawMeans() {
    const tiles = Array.from(this.overall, ([column, all]) => {
      const { mean, n } = meanOf(column, this.rows);
      const rest = isFiltered(this.state) ? ` · all ${shownMean(column.kind, all)}` : "";
      const detail = element("small", {}, `n ${NUMBER.format(n)}${rest}`);
      return element(
        "div",
        { "data-key": column.key },
        element("dt", {}, column.title),
        element("dd", {}, shownMean(column.kind, mean), detail),
      );
    });
    this.means.replaceChildren(...tiles);
  }

  shownColumns() {
    return this.table.columns.filter((column) => this.state.shown.has(column.key) && column.kind !== "probabilities");
  }

  redrawHead() {
    const cells = this.shownColumns().map((column) => {
      const arrow = element("span", { class: "arrow", "aria-hidden": "true" });
      const button = element(
        "button",
        { type: "button", onclick: () => this.sortBy(column.key) },
        element("span", { dir: "auto" }, column.title),
        arrow,
      );
      return element("th", { scope: "col", role: "columnheader", class: column.kind, "data-key": column.key }, button);
    });
    this.head.replaceChildren(element("tr", { role: "row" }, ...cells));
    this.redrawOrder();
  }

  redrawOrder() {
    const { sort } = this.state;
    for (const cell of this.head.querySelectorAll("th")) {
      const sorted = sort?.key === cell.dataset.key;
      if (sorted) cell.setAttribute("aria-sort", sort.descending ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
      cell.querySelector(".arrow").textContent = sorted ? (sort.descending ? "▼" : "▲") : "";
    }
  }

  redrawRows() {
    const last = Math.max(0, Math.ceil(this.rows.length / ROWS_PER_VIEW) - 1);
    this.state.page = Math.min(Math.max(0, this.state.page), last);
    const first = this.state.page * ROWS_PER_VIEW;
    const visible = this.rows.slice(first, first + ROWS_PER_VIEW);
    const columns = this.shownColumns();
    this.body.replaceChildren(...visible.map((row, i) => this.line(columns, row, first + i)));
    this.back.disabled = this.state.page === 0;
    this.forth.disabled = this.state.page === last;
    this.where.textContent = visible.length
      ? `${NUMBER.format(first + 1)}–${NUMBER.format(first + visible.length)}`
      : "";
  }

  line(columns, row, position) {
    const open = () => this.open(position);
    const onclick = (event) => {
      if (!event.target.closest("button") && getSelection().isCollapsed) open();
    };
    return element("tr", { role: "row", onclick }, ...columns.map((column) => this.cell(column, row, open)));
  }

  cell(column, row, open) {
    const { key, kind } = column;
    const value = column.values[row];
    if (key === "id") {
      const button = element("button", { type: "button", "data-row": row, dir: "auto", onclick: open }, cut(value));
      return element("th", { scope: "row", role: "rowheader" }, button);
    }
    const look = kind === "verdict" && value !== null ? ` ${value ? "right" : "wrong"}` : "";
    const content = cut(shownValue(kind, value));
    const inner = element(WRAPPED.has(kind) ? "div" : "span", { dir: "auto" }, content);
    return element("td", { class: kind + look, role: "cell", "data-title": column.title }, inner);
  }
}

function cut(text) {
  if (text.length <= CELL_TEXT) return text;
  const end = /[\ud800-\udbff]/.test(text[CELL_TEXT - 1]) ? CELL_TEXT - 1 : CELL_TEXT; // not through a character
  return `${text.slice(0, end)} …`;
}

const packed = JSON.parse(document.getElementById("rows").textContent);
for (const table of packed.tables) {
  new Explorer(document.getElementById(table.anchor), openTable(table, packed.texts));
}
