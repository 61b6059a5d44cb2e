// Words of an example, coloured by what the label and the explanation lose without them; and what changed between two.

/** Nats: where the strongest word does less than this, none is shown in full colour. */
const LEAST = 0.2;

/** What one word did, in words: `lost` is in nats, null where it was not measured. */
function effectInWords(lost, strongest) {
  if (lost === null || Math.abs(lost) < 0.02 * strongest) return "hardly mattered";
  const much = Math.abs(lost) > 0.5 * strongest ? "strongly " : "";
  return lost > 0 ? `spoke ${much}for it` : `spoke ${much}against it`;
}

/** The words of a field with where each begins in its text: scripts without spaces have no white space to count by. */
function placed(entry, field) {
  const text = entry.fields[field] ?? "";
  let end = 0;
  return entry.words
    .filter((word) => word.field === field)
    .map((word) => {
      const begin = Math.max(text.indexOf(word.word, end), end);
      const before = text.slice(end, begin);
      end = begin + word.word.length;
      return { word, begin, end, before };
    });
}

/** One side, "label" or "explanation": the example's texts with their words marked. `choose(word)` when one is clicked. */
function colouredSide(entry, side, title, about, choose) {
  const { words } = entry;
  const strongest = Math.max(...words.map((word) => Math.abs(word[side] ?? 0)), LEAST);
  const fields = [...new Set(words.map((word) => word.field))];
  const lines = fields.map((field) => [
    field,
    element(
      "span",
      { class: "words" },
      ...placed(entry, field).flatMap(({ word, before }) => [
        ...(before ? [" "] : []),
        coloured(word, word[side], strongest, choose),
      ]),
    ),
  ]);
  const none = strongest > LEAST ? [] : [element("p", { class: "note" }, "No single word changes it much: it takes several.")];
  return element("div", { class: "side" }, element("h4", {}, title), element("p", { class: "note" }, about), pairs(lines), ...none);
}

function coloured(word, lost, strongest, choose) {
  const share = lost === null ? 0 : lost / strongest;
  const meaning = effectInWords(lost, strongest);
  const button = element(
    "button",
    {
      type: "button",
      class: `word ${Math.abs(share) < 0.02 ? "" : share > 0 ? "for" : "against"}`,
      title: meaning,
      "aria-label": `${word.word}: ${meaning}`,
      onclick: () => choose(word),
    },
    word.word,
  );
  button.style.setProperty("--share", `${Math.round(55 * Math.min(1, Math.abs(share)))}%`);
  return button;
}

/** The figures behind the colours. */
function effectTable(words) {
  const cell = (value) => element("td", {}, value === null ? "–" : value.toFixed(3));
  const rows = words.map((word) =>
    element("tr", {}, element("th", { scope: "row", dir: "auto" }, word.word), element("td", {}, word.field), cell(word.label), cell(word.explanation)),
  );
  const head = ["Word", "Field", "Label", "Explanation"].map((name) => element("th", { scope: "col" }, name));
  return element(
    "details",
    {},
    element("summary", {}, "As a table"),
    element(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "What each word did" },
      element("table", {}, element("caption", {}, "Log-probability (nats) lost without the word"), element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)),
    ),
  );
}

/** Scripts that put no space between words: each character is one. */
const SPACELESS = ["Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar"].map((name) => `\\p{Script=${name}}`).join("");
const SPACED = new RegExp(`^[^${SPACELESS}]`, "u");
const WRITTEN = new RegExp(`(\\s*)([${SPACELESS}]\\p{M}*[^\\p{L}\\p{N}\\s]*|[^\\s${SPACELESS}]+)`, "gu");

/** The first words of a text, each with the space to put before it. */
function writtenWords(text) {
  const found = [...text.matchAll(WRITTEN)].slice(0, 400);
  return found.map(([, space, word]) => ({ space: space || SPACED.test(word) ? " " : "", word }));
}

/** The words of `after`, those marked that `before` does not have in this order; `before`'s lost words are struck out. */
function changedWords(before, after) {
  const a = writtenWords(before);
  const b = writtenWords(after);
  const common = commonLengths(a, b);
  const parts = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i].word === b[j].word) {
      parts.push(b[j].space, b[j].word);
      i += 1;
      j += 1;
    } else if (j >= b.length || (i < a.length && common[i + 1][j] >= common[i][j + 1])) {
      parts.push(a[i].space, element("del", {}, a[i].word));
      i += 1;
    } else {
      parts.push(b[j].space, element("ins", {}, b[j].word));
      j += 1;
    }
  }
  return element("span", {}, ...parts);
}

/** How many words the rests of two lists have in common, in order. */
function commonLengths(a, b) {
  const lengths = Array.from({ length: a.length + 1 }, () => new Array(b.length + 1).fill(0));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      lengths[i][j] = a[i].word === b[j].word ? lengths[i + 1][j + 1] + 1 : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  }
  return lengths;
}
