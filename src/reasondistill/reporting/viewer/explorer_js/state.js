// What a reader has chosen in a table (filters, order, columns, page, open row), and its form in a link:
// #<table>?q=words&is.gold=entailment&min.rougeL=0.2&sort=-rougeL&page=2. What is not chosen is not in the link.

const ROWS_PER_VIEW = 10;

/** A table as it is first shown. */
function freshState(table) {
  const shown = table.columns.filter((column) => column.shown).map((column) => column.key);
  return { query: "", choices: new Map(), ranges: new Map(), sort: null, shown: new Set(shown), page: 0, open: null };
}

/** Whether any filter is set. */
function isFiltered(state) {
  return Boolean(state.query.trim() || state.choices.size || state.ranges.size);
}

/** The part of a link after `#`. */
function toHash(table, state) {
  const parts = new URLSearchParams();
  if (state.query) parts.set("q", state.query);
  for (const [key, value] of state.choices) {
    if (value === null) parts.set(`no.${key}`, "1");
    else parts.set(`is.${key}`, String(value));
  }
  for (const [key, { min, max }] of state.ranges) {
    if (min !== null) parts.set(`min.${key}`, String(min));
    if (max !== null) parts.set(`max.${key}`, String(max));
  }
  if (state.sort) parts.set("sort", (state.sort.descending ? "-" : "") + state.sort.key);
  for (const column of table.columns) {
    if (state.shown.has(column.key) !== column.shown) parts.append(column.shown ? "hide" : "show", column.key);
  }
  if (state.page) parts.set("page", String(state.page + 1));
  if (state.open !== null) parts.set("row", table.byKey.get("id").values[state.open]);
  return [...parts].length ? `${table.anchor}?${parts}` : table.anchor;
}

/** The state that a link describes, and those of its parts that this table does not know; null: another place. */
function fromHash(table, hash) {
  const [anchor, query] = splitOnce(hash.replace(/^#/, ""), "?");
  if (anchor !== table.anchor || query === null) return null;
  const state = freshState(table);
  const unknown = [];
  for (const [name, value] of new URLSearchParams(query)) {
    if (!takePart(table, state, name, value)) unknown.push(`${name}=${value}`);
  }
  return { state, unknown };
}

function takePart(table, state, name, value) {
  const [verb, key] = splitOnce(name, ".");
  const column = table.byKey.get(key ?? value.replace(/^-/, ""));
  switch (verb) {
    case "q":
      state.query = value;
      return true;
    case "page":
      state.page = Math.max(0, (parseInt(value, 10) || 1) - 1);
      return true;
    case "row":
      state.open = table.byKey.get("id").values.indexOf(value);
      if (state.open < 0) state.open = null;
      return state.open !== null;
    case "is":
    case "no":
      return takeChoice(state, column, verb === "no" ? null : value);
    case "min":
    case "max":
      return takeBound(state, column, verb, value);
    case "sort":
      if (column) state.sort = { key: column.key, descending: value.startsWith("-") && !table.byKey.has(value) };
      return Boolean(column);
    case "show":
    case "hide":
      if (column) state.shown[verb === "show" ? "add" : "delete"](column.key);
      return Boolean(column);
    default:
      return false;
  }
}

function takeChoice(state, column, text) {
  if (!column || !CHOSEN.has(column.kind)) return false;
  const value = [...countsOf(column).keys()].find((one) =>
    text === null ? one === null : String(one) === text && one !== null,
  );
  if (value === undefined) return false;
  state.choices.set(column.key, value);
  return true;
}

function takeBound(state, column, side, text) {
  const value = Number(text);
  if (!column || !RANGED.has(column.kind) || text.trim() === "" || !Number.isFinite(value)) return false;
  setBound(state, column.key, side, value);
  return true;
}

/** Set one side ("min" or "max") of a column's range; null takes it away. */
function setBound(state, key, side, value) {
  const range = { min: null, max: null, ...state.ranges.get(key), [side]: value };
  if (range.min === null && range.max === null) state.ranges.delete(key);
  else state.ranges.set(key, range);
}

function splitOnce(text, separator) {
  const at = text.indexOf(separator);
  return at < 0 ? [text, null] : [text.slice(0, at), text.slice(at + separator.length)];
}
