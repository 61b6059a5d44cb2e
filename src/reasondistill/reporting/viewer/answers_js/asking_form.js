// The form: the task's own fields, examples to try, and when to abstain.

class AskingForm {
  /** `submit(fields, choices, precision)` when a reader asks. */
  constructor(submit) {
    this.submit = submit;
    this.inputs = new Map();
    this.body = element("div", { class: "inputs" });
    this.button = element("button", { type: "submit", class: "main" }, "Ask");
    this.clear = element("button", { type: "button", onclick: () => this.fill({}) }, "Clear");
    this.form = element(
      "form",
      { onsubmit: (event) => this.onSubmit(event), onkeydown: (event) => this.onKey(event) },
      this.body,
      element("div", { class: "buttons" }, this.button, this.clear, element("span", { class: "note" }, "Ctrl + Enter asks, too.")),
    );
  }

  /** Show the fields of a student; what is filled in under the same names stays. */
  show(student, limits) {
    const before = this.values();
    this.student = student;
    this.inputs = new Map(student.fields.map((name) => [name, this.textarea(name, limits, student.optional.includes(name))]));
    const rows = [...this.inputs].map(([name, input]) => labelled(name, input));
    this.choices = student.labels === null ? element("textarea", { rows: "3", id: "choices", dir: "auto" }) : null;
    if (this.choices) rows.push(labelled("choices, one a line", this.choices));
    this.precision = student.precisions.length ? this.precisionList(student.precisions) : null;
    if (this.precision) rows.push(labelled("when to answer", this.precision));
    this.body.replaceChildren(...rows);
    this.fill(before);
  }

  textarea(name, limits, optional) {
    return element("textarea", { rows: "2", id: `field-${name}`, maxlength: String(limits.max_field_characters), dir: "auto", required: !optional });
  }

  precisionList(precisions) {
    const options = precisions.map((p) => element("option", { value: String(p) }, `only if ${(100 * p).toFixed(0)}% of such answers are right`));
    return element("select", { id: "precision" }, element("option", { value: "" }, "always"), ...options);
  }

  values() {
    return Object.fromEntries([...this.inputs].map(([name, input]) => [name, input.value]));
  }

  fill(fields) {
    for (const [name, input] of this.inputs) input.value = fields[name] ?? "";
    this.inputs.values().next().value?.focus({ preventScroll: true });
  }

  /** Mark a stretch of a field's text, so that it can be typed over. */
  select(field, begin, end) {
    const input = this.inputs.get(field);
    input.focus();
    input.setSelectionRange(begin, end);
  }

  waiting(is) {
    this.button.disabled = is;
  }

  onKey(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.form.requestSubmit();
  }

  onSubmit(event) {
    event.preventDefault();
    if (this.button.disabled) return;
    const choices = this.choices ? this.choices.value.split("\n").map((line) => line.trim()).filter(Boolean) : null;
    this.submit(this.values(), choices, this.precision?.value ?? "");
  }
}

function labelled(name, input) {
  return element("div", { class: "field" }, element("label", { for: input.id }, name), input);
}

/** Buttons that fill the form with an example. */
function exampleButtons(examples, fields, use) {
  const fitting = examples.filter((example) => fields.every((name) => name in example));
  if (!fitting.length) return [];
  const shown = (example) => fields.map((name) => example[name]).join(" / ");
  return [
    element("h2", {}, "Or try one of these"),
    element("ul", { class: "examples" }, ...fitting.map((example) => element("li", {}, element("button", { type: "button", onclick: () => use(example) }, shown(example))))),
  ];
}
