// One answer as a reader sees it.

/** The parts of an answer: verdict, certainty, probabilities, explanation. `student` is as /info describes it. */
function answerParts(entry, student) {
  const { answer } = entry;
  const bars = Object.entries(answer.probabilities).map(([label, p]) => bar(label, p, label === answer.label));
  const parts = [];
  if (answer.abstained) parts.push(abstained());
  if (answer.label !== null) {
    parts.push(element("p", { class: "verdict-line" }, element("strong", { class: "given", dir: "auto" }, answer.label), certainty(answer)));
  }
  if (bars.length) parts.push(element("ul", { class: "bars", "aria-label": "Probability of each label" }, ...bars));
  if (answer.explanation) {
    parts.push(element("h3", {}, "Its explanation"), element("blockquote", { dir: "auto" }, answer.explanation));
  } else if (student.order !== "label_only") {
    parts.push(element("p", { class: "note" }, "It wrote no explanation."));
  }
  parts.push(...proofParts(answer));
  if (answer.truncated) parts.push(element("p", { class: "note" }, "The explanation was cut off: it reached the student's limit."));
  if (answer.input_truncated) {
    parts.push(element("p", { class: "warning" }, "The text was too long: the student did not read its end."));
  }
  return parts;
}

/** What a prover says of the label, step by step. */
function proofParts(answer) {
  if (!answer.proof?.length) return [];
  const conflict = answer.verdict === "conflict";
  const title = conflict ? `A proof speaks for another label: ${answer.proved}` : "A proof of the label";
  return [
    conflict ? element("p", { class: "warning" }, element("strong", {}, title)) : element("h3", {}, title),
    element("ol", { class: "proof" }, ...answer.proof.map((line) => element("li", { dir: "auto" }, line))),
    element("p", { class: "note" }, "Of the two sentences as a program reads them. It knows nothing of the student, and shows nothing of how the student decided."),
  ];
}

function abstained() {
  return element(
    "p",
    { class: "warning" },
    element("strong", {}, "It would rather not answer. "),
    "It is less sure than it has to be for as many right answers as you asked for. A person should look at this one. Below is what it would have said.",
  );
}

function certainty(answer) {
  if (answer.confidence === null || answer.confidence === undefined) return "";
  const share = answer.confidence > 0.999 ? "more than 99.9%" : `${(100 * answer.confidence).toFixed(answer.confidence > 0.99 ? 1 : 0)}%`;
  return answer.calibrated
    ? ` – ${share} sure. Measured on examples it had not seen: of answers it is this sure of, about that share are right.`
    : ` – ${share} sure. It was never measured how often it is right when it says so: read it as more or less sure, not as a chance.`;
}

/** What differs between two answers of one student. */
function changeParts(before, after) {
  const fields = Object.keys(after.fields).filter((name) => (before.fields[name] ?? "") !== after.fields[name]);
  if (!fields.length) return [];
  const labels = Object.keys(after.answer.probabilities).filter((label) => label in before.answer.probabilities);
  const items = fields.map((name) => [name, changedWords(before.fields[name] ?? "", after.fields[name])]);
  const same = before.answer.label === after.answer.label;
  items.push(["label", same ? `still ${after.answer.label}` : changedWords(String(before.answer.label), String(after.answer.label))]);
  for (const label of labels) {
    const [p, q] = [before.answer.probabilities[label], after.answer.probabilities[label]];
    if (Math.abs(q - p) >= 0.005) items.push([label, `${p.toFixed(2)} → ${q.toFixed(2)}`]);
  }
  items.push(["explanation", before.answer.explanation === after.answer.explanation ? "unchanged" : changedWords(before.answer.explanation, after.answer.explanation)]);
  return [element("h3", {}, "Compared with your question before"), pairs(items)];
}

/** What the student writes when it has to argue for each label, and how well a judge finds that it argues. */
function argumentParts(entry, judge) {
  const support = judge && entry.support ? entry.support : {};
  const items = Object.entries(entry.arguments).map(([label, text]) => [
    label === entry.answer.label ? `${label} (its answer)` : label,
    (text || "(nothing)") + (typeof support[label] === "number" ? ` – support ${support[label].toFixed(2)}` : ""),
  ]);
  return [
    element("h3", {}, "If it had to argue for each label"),
    element("p", { class: "note" }, "A fluent reason for a label that is wrong shows how little a fluent reason proves."),
    pairs(items),
    ...(Object.keys(support).length ? [element("p", { class: "note" }, `Support, from 0 to 1: how well the reason argues for its label, as the judge “${judge}” sees it. A judge is a model, too.`)] : []),
  ];
}

/** Rows that the student learned from and that read like the question. */
function nearParts(near) {
  if (!near.length) return [];
  const rows = near.map((row) => {
    const texts = [...Object.entries(row.fields), ["label", row.label ?? "–"], ...(row.explanation ? [["explanation", row.explanation]] : [])];
    return element("li", {}, pairs(texts));
  });
  return [
    element("h3", {}, "Examples it learned from that read like this"),
    element("p", { class: "note" }, "The nearest by their words. Far from all that it learned, a student is easily wrong."),
    element("ol", { class: "near" }, ...rows),
  ];
}

/** Which words moved the label, and which the explanation, side by side. */
function wordParts(entry, choose) {
  const sides = [
    ["label", "What moved the label", "Blue, underlined: the label became less likely without the word. Orange, dashed: more likely."],
    ["explanation", "What moved the explanation", "The same for the explanation that it wrote. Where the two differ, the explanation may not tell what decided the label."],
  ].filter(([side]) => entry.words.some((word) => word[side] !== null));
  if (!sides.length) return [];
  return [
    element("h3", {}, "Which words mattered"),
    element("div", { class: "sides" }, ...sides.map(([side, title, about]) => colouredSide(entry, side, title, about, choose))),
    effectTable(entry.words),
  ];
}
