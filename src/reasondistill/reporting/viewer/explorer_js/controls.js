// What a reader filters with and which columns are shown: controls that change a table's state, and that follow it.

const MOST_OPTIONS = 60; // more choices than this are typed with suggestions instead of picked from a list

/** `change(edit)` and `arrange(edit)` are called with a function that edits the state: its filters, or its columns. */
class Controls {
  constructor(table, { change, arrange }) {
    Object.assign(this, { table, change, arrange });
    this.syncs = []; // each brings one control in line with the state
    this.filters = this.filterControls();
    this.folds = element("div", { class: "folds" }, this.rangeControls(), this.columnControls());
  }

  /** Show what the state holds, after a link or another control changed it. */
  sync(state) {
    for (const sync of this.syncs) sync(state);
  }

  filterControls() {
    const choices = this.table.columns.filter((column) => CHOSEN.has(column.kind) && column.kind !== "flag");
    return element(
      "div",
      { class: "controls", role: "search", "aria-label": `Filter: ${this.table.title}` },
      this.searchControl(),
      ...choices.map((column) => this.choiceControl(column)),
    );
  }

  searchControl() {
    const input = element("input", {
      type: "search",
      autocomplete: "off",
      spellcheck: "false",
      placeholder: 'words, or "a phrase"',
    });
    input.addEventListener("input", () => this.change((state) => (state.query = input.value)));
    this.syncs.push((state) => (input.value = state.query));
    return labelled("Search all texts", input, "search");
  }

  choiceControl(column) {
    const counts = countsOf(column);
    if (counts.size > MOST_OPTIONS) return this.typedChoice(column, counts);
    const values = optionsOf(column, counts);
    const options = values.map((value, i) =>
      element("option", { value: i }, `${choiceName(column, value)} (${NUMBER.format(counts.get(value))})`),
    );
    const select = element("select", {}, element("option", { value: "" }, "any"), ...options);
    select.addEventListener("change", () =>
      this.choose(column, select.value === "" ? undefined : values[Number(select.value)]),
    );
    this.syncs.push(
      (state) => (select.value = state.choices.has(column.key) ? values.indexOf(state.choices.get(column.key)) : ""),
    );
    return labelled(column.title, select);
  }

  typedChoice(column, counts) {
    const list = element("datalist", { id: `${this.table.anchor}-${column.key}` });
    list.append(
      ...optionsOf(column, counts)
        .filter((value) => value !== null)
        .map((value) => element("option", { value })),
    );
    const input = element("input", { type: "text", autocomplete: "off", list: list.id, placeholder: "any" });
    input.addEventListener("input", () => {
      const known = input.value === "" || counts.has(input.value);
      input.setCustomValidity(known ? "" : "No row has exactly this.");
      if (known) this.choose(column, input.value === "" ? undefined : input.value);
    });
    this.syncs.push((state) => (input.value = state.choices.get(column.key) ?? ""));
    const control = labelled(column.title, input);
    control.append(list);
    return control;
  }

  rangeControls() {
    const ranged = this.table.columns.filter((column) => RANGED.has(column.kind));
    const flags = this.table.columns.filter((column) => column.kind === "flag");
    const grid = element(
      "div",
      { class: "ranges" },
      ...ranged.map((column) => this.rangeControl(column)),
      ...flags.map((column) => this.choiceControl(column)),
    );
    return element("details", {}, element("summary", {}, "Ranges of scores"), grid);
  }

  rangeControl(column) {
    const { low, high } = extent(column);
    const bound = (side, edge) => this.boundInput(column, side, edge);
    const inputs = element("span", { class: "bounds" }, bound("min", low), "–", bound("max", high));
    return element(
      "div",
      { class: "control", role: "group", "aria-label": column.title },
      element("span", {}, column.title),
      inputs,
    );
  }

  boundInput(column, side, edge) {
    const name = `${column.title}, ${side === "min" ? "at least" : "at most"}`;
    const input = element("input", {
      type: "number",
      step: "any",
      "aria-label": name,
      placeholder: edge === null ? "" : String(edge),
    });
    input.addEventListener("input", () => {
      const value = input.value === "" ? null : input.valueAsNumber;
      this.change((state) => setBound(state, column.key, side, value));
    });
    this.syncs.push((state) => {
      if (input.validity.badInput) return; // half a number, such as "-": leave it to its writer
      const value = state.ranges.get(column.key)?.[side] ?? null;
      if (input.value === "" || input.valueAsNumber !== value) input.value = value ?? "";
    });
    return input;
  }

  columnControls() {
    const boxes = this.table.columns
      .filter((column) => column.kind !== "probabilities")
      .map((column) => this.columnBox(column));
    const fieldset = element("div", { class: "boxes", role: "group", "aria-label": "Columns shown" }, ...boxes);
    return element("details", {}, element("summary", {}, "Columns"), fieldset);
  }

  columnBox(column) {
    const box = element("input", { type: "checkbox", disabled: column.key === "id" });
    box.addEventListener("change", () => {
      this.arrange((state) => state.shown[box.checked ? "add" : "delete"](column.key));
    });
    this.syncs.push((state) => (box.checked = state.shown.has(column.key)));
    return element("label", { class: "box" }, box, element("span", { dir: "auto" }, column.title));
  }

  /** Keep the rows with this choice; undefined: any. */
  choose(column, value) {
    this.change(({ choices }) => (value === undefined ? choices.delete(column.key) : choices.set(column.key, value)));
  }
}

function labelled(name, control, more = "") {
  return element("label", { class: `control ${more}` }, element("span", { dir: "auto" }, name), control);
}

/** A column's choices in its own order; right before wrong, yes before no; rows without one last. */
function optionsOf(column, counts) {
  const ordered = column.options ?? [true, false];
  return [...ordered, null].filter((value) => counts.has(value));
}

function choiceName(column, value) {
  if (value === null) return column.kind === "verdict" ? "not judged" : "absent";
  return shownValue(column.kind, value);
}
