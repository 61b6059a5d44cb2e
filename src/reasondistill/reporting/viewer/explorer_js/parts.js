// Parts of an answer that every page shows alike.

/** Names and texts, as a list. */
function pairs(items) {
  const cells = items.flatMap(([name, text]) => [
    element("dt", { dir: "auto" }, name),
    element("dd", { dir: "auto" }, text),
  ]);
  return element("dl", { class: "pair" }, ...cells);
}

/** A label's probability as a bar. */
function bar(label, p, chosen) {
  const fill = element("span", { class: "fill" });
  fill.style.width = `${100 * p}%`;
  return element(
    "li",
    { class: chosen ? "chosen" : null },
    element("span", { class: "name", dir: "auto", title: label }, label),
    element("span", { class: "track" }, fill),
    element("span", { class: "p" }, p.toFixed(2)),
  );
}
