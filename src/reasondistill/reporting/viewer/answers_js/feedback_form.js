// What a reader says of an answer.

/** A form for one answer; `send(feedback)` gives a promise. */
function feedbackForm(entry, student, send) {
  const labels = student.labels ?? entry.choices ?? [];
  const verdict = (value, text) => element("label", { class: "radio" }, element("input", { type: "radio", name: "verdict", value, required: true }), ` ${text}`);
  const label = element("select", { id: "right-label" }, element("option", { value: "" }, "–"), ...labels.map((name) => element("option", { value: name }, name)));
  const explanation = element("textarea", { id: "right-explanation", rows: "2", dir: "auto" });
  const by = element("input", { id: "by", type: "text", maxlength: "200", autocomplete: "name" });
  const why = element("input", { id: "why", type: "text", maxlength: "2000" });
  const thanks = element("p", { role: "status", class: "note" });
  const form = element(
    "form",
    { class: "feedback" },
    element("fieldset", {}, element("legend", {}, "Was this right?"), verdict("right", "yes, label and explanation"), verdict("wrong", "no")),
    ...(labels.length ? [labelled("the right label", label)] : []),
    labelled("a better explanation", explanation),
    labelled("your name (optional)", by),
    labelled("a remark (optional)", why),
    element("button", { type: "submit" }, "Send"),
    thanks,
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { label: given, explanation: text, student: fingerprint } = entry.answer;
    thanks.textContent = "Sending …";
    try {
      const receipt = await send({
        example: exampleOf(entry),
        answer: { label: given, explanation: text, student: fingerprint },
        verdict: new FormData(form).get("verdict"),
        label: label.value || null,
        explanation: explanation.value.trim() || null,
        by: by.value,
        why: why.value,
        group: entry.group ?? null,
      });
      thanks.textContent = receipt.status === "kept" ? "Thank you: it is kept." : "That was said before.";
    } catch (problem) {
      thanks.textContent = problem.message;
    }
  });
  return element("details", {}, element("summary", {}, "Tell us whether it is right"), form);
}

/** An entry's example as the service takes it. */
function exampleOf(entry) {
  return entry.choices ? { ...entry.fields, choices: entry.choices } : { ...entry.fields };
}
