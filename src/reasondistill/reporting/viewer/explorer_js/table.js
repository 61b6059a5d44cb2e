// The rows of one evaluated part: reading, filtering, sorting, averaging, exporting. Nothing here touches the page.

const RANGED = new Set(["score", "count"]); // filtered by a range of numbers
const CHOSEN = new Set(["category", "tags", "verdict", "flag"]); // filtered by one choice
const AVERAGED = new Set(["score", "count", "verdict", "flag"]);
const TEXTUAL = new Set(["text", "texts", "category"]); // what a search looks into
const SPREAD_LABELS = 30; // a CSV file has a column for each label's probability up to here
const COLLATOR = new Intl.Collator(undefined, { numeric: true });

/** A table out of its columnar JSON, as columns.py writes it; `texts` are those that cells refer to by number. */
function openTable(packed, texts) {
  const columns = packed.columns.map((column) => ({ ...column, values: unpack(column, texts) }));
  const byKey = new Map(columns.map((column) => [column.key, column]));
  return {
    anchor: packed.anchor,
    title: packed.title,
    columns,
    byKey,
    size: columns[0].values.length,
    haystacks: null,
  };
}

function unpack(column, texts) {
  const text = (value) => (typeof value === "number" ? texts[value] : value);
  const option = (place) => column.options[place];
  const one = {
    text,
    texts: (values) => values.map(text),
    category: option,
    tags: (places) => places.map(option),
    verdict: Boolean,
    flag: Boolean,
    probabilities: (values, row) => values.map((p, i) => [column.sets[column.set[row]][i], p]),
  }[column.kind];
  return one ? column.values.map((value, row) => (value === null ? null : one(value, row))) : column.values;
}

/** The value as a number: a truth value is 1 or 0, what is absent stays null. */
function numeric(value) {
  return value === null ? null : Number(value);
}

// Filtering

/** The rows (their numbers) that a state's filters let through, in the state's order. */
function rowsOf(table, state) {
  const tests = [...searchTests(table, state.query), ...choiceTests(table, state), ...rangeTests(table, state)];
  const rows = [];
  for (let row = 0; row < table.size; row += 1) {
    if (tests.every((test) => test(row))) rows.push(row);
  }
  return sorted(table, rows, state.sort);
}

/** Text as a search compares it: without regard to case or to how accents are encoded. */
function folded(text) {
  return text.normalize("NFKC").toLowerCase();
}

/** The words of a search, all of which a row must hold; "quoted words" count as one. */
function wordsOf(query) {
  return Array.from(query.matchAll(/"([^"]+)"|[^\s"]+/g), (match) => folded(match[1] ?? match[0]));
}

function searchTests(table, query) {
  const words = wordsOf(query);
  if (!words.length) return [];
  table.haystacks ??= Array.from({ length: table.size }, (_, row) => haystack(table, row));
  return words.map((word) => (row) => table.haystacks[row].includes(word));
}

function haystack(table, row) {
  const texts = table.columns
    .filter((column) => TEXTUAL.has(column.kind))
    .flatMap((column) => column.values[row] ?? []);
  return folded(texts.join("\n"));
}

function choiceTests(table, state) {
  return Array.from(state.choices, ([key, wanted]) => {
    const values = table.byKey.get(key).values;
    return (row) => (Array.isArray(values[row]) ? values[row].includes(wanted) : values[row] === wanted);
  });
}

/** A row without the figure is outside every range. */
function rangeTests(table, state) {
  return Array.from(state.ranges, ([key, { min, max }]) => {
    const values = table.byKey.get(key).values;
    return (row) =>
      values[row] !== null && (min === null || values[row] >= min) && (max === null || values[row] <= max);
  });
}

// Sorting

/** Rows in the order of a column; equal ones keep the file's order, and rows without a value come last either way. */
function sorted(table, rows, sort) {
  if (!sort) return rows;
  const column = table.byKey.get(sort.key);
  const keys = new Map(rows.map((row) => [row, sortKey(column.values[row])]));
  const sign = sort.descending ? -1 : 1;
  return rows.sort((a, b) => {
    const [left, right] = [keys.get(a), keys.get(b)];
    if (left === null || right === null) return (left === null) - (right === null) || a - b;
    return sign * (typeof left === "string" ? COLLATOR.compare(left, right) : left - right) || a - b;
  });
}

function sortKey(value) {
  if (Array.isArray(value)) return value.length ? value.join("\n") : null;
  return typeof value === "string" ? value : numeric(value);
}

// Averages

/** The mean over the rows that have the figure, and how many these are. */
function meanOf(column, rows) {
  let sum = 0;
  let n = 0;
  for (const row of rows) {
    const value = numeric(column.values[row]);
    if (value !== null) {
      sum += value;
      n += 1;
    }
  }
  return { mean: n ? sum / n : null, n };
}

/** The least and the greatest figure of a column, null where it has none. */
function extent(column) {
  let [low, high] = [null, null];
  for (const value of column.values) {
    if (value !== null && (low === null || value < low)) low = value;
    if (value !== null && (high === null || value > high)) high = value;
  }
  return { low, high };
}

/** How many rows have each choice; null stands for rows without one. */
function countsOf(column) {
  const counts = new Map();
  for (const value of column.values) {
    for (const one of Array.isArray(value) ? value : [value]) counts.set(one, (counts.get(one) ?? 0) + 1);
  }
  return counts;
}

// Export

/** A row in the form of a line of per_example.jsonl. */
function recordOf(table, row) {
  const pairs = [];
  const fields = [];
  for (const { key, kind, values } of table.columns) {
    if (key.startsWith("fields.")) {
      if (values[row] !== null) fields.push([key.slice("fields.".length), values[row]]);
    } else if (kind === "probabilities") {
      pairs.push([key, values[row] && Object.fromEntries(values[row])]);
    } else {
      pairs.push([key, values[row]]);
    }
  }
  // fromEntries makes own properties, also of a field that is called __proto__.
  return Object.fromEntries([...pairs, ["fields", Object.fromEntries(fields)]]);
}

function toJsonLines(table, rows) {
  return rows.map((row) => `${JSON.stringify(recordOf(table, row))}\n`).join("");
}

/** CSV after RFC 4180: lines end in CR LF; a reference, and a label's probability, has a column of its own. */
function toCsv(table, rows) {
  const columns = table.columns.flatMap((column) => csvColumns(column, rows));
  const line = (cells) => `${cells.map(csvCell).join(",")}\r\n`;
  const head = line(columns.map((column) => column.name));
  return head + rows.map((row) => line(columns.map((column) => column.cell(row)))).join("");
}

function csvColumns(column, rows) {
  const { key, kind, values } = column;
  if (kind === "texts") {
    const most = rows.reduce((length, row) => Math.max(length, values[row]?.length ?? 0), 0);
    return Array.from({ length: most }, (_, i) => ({ name: `${key}.${i + 1}`, cell: (row) => values[row]?.[i] }));
  }
  if (kind === "tags") return [{ name: key, cell: (row) => values[row]?.join("; ") }];
  if (kind !== "probabilities") return [{ name: key, cell: (row) => values[row] }];
  const labels = [...new Set(column.sets.flat())];
  if (labels.length > SPREAD_LABELS) {
    return [{ name: key, cell: (row) => values[row] && JSON.stringify(Object.fromEntries(values[row])) }];
  }
  const probability = (row, label) => values[row]?.find(([name]) => name === label)?.[1];
  return labels.map((label) => ({ name: `${key}.${label}`, cell: (row) => probability(row, label) }));
}

function csvCell(value) {
  const text = String(value ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
