// The page: a form, an answer, and what was asked before. What a frozen page (`live` false) holds, it only shows.

const SLOW = 1500;

class AnswersPage {
  constructor(data) {
    this.live = data.live;
    this.entries = data.entries;
    this.shown = null;
    this.near = new WeakMap(); // beside the entries: a shared session need not hold rows of others
    this.status = document.getElementById("status");
    this.result = document.getElementById("result");
    this.history = document.getElementById("history");
    this.calls = new ServiceCalls((seconds) => this.say(`The service is full. Asking again in ${seconds} s …`));
    this.form = new AskingForm((fields, choices, precision) => this.ask(fields, choices, precision));
    if (this.live) this.connect();
    else this.begin(data.info);
  }

  say(text, kind = "") {
    this.status.textContent = text;
    this.status.className = kind;
  }

  /** Learn what the service is, with a key where it wants one. */
  async connect() {
    this.say("Connecting …");
    try {
      this.begin(await this.calls.send("/info"));
    } catch (problem) {
      if (problem.status === 401) this.askForKey();
      else this.say(problem.message, "warning");
    }
  }

  askForKey() {
    const input = element("input", { id: "key", type: "password", required: true, autocomplete: "off" });
    const form = element("form", {}, labelled("key", input), element("button", { type: "submit", class: "main" }, "Go on"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.calls.key = input.value.trim();
      this.connect();
    });
    this.say(this.calls.key ? "The service does not know this key." : "This service asks for a key.");
    document.getElementById("asking").replaceChildren(form);
    input.focus();
  }

  begin(info) {
    this.info = info;
    this.student = info.students[0];
    if (this.live) {
      this.entries = historyFromHash(location.hash);
      this.showAsking();
      this.say(this.entries.length ? "" : "Fill in the fields, or try an example.");
    }
    if (this.entries.length) this.show(this.entries.length - 1);
    this.showHistory();
  }

  showAsking() {
    const parts = [];
    if (this.info.students.length > 1) parts.push(labelled("student", this.studentList()));
    parts.push(this.form.form);
    this.form.show(this.student, this.info.limits);
    const examples = exampleButtons(this.info.examples, this.student.fields, (example) => {
      this.form.fill(example);
      this.form.form.requestSubmit();
    });
    document.getElementById("asking").replaceChildren(...parts, ...examples);
  }

  studentList() {
    const list = element("select", { id: "student" }, ...this.info.students.map((each) => element("option", { value: each.name }, `${each.name} (${each.task})`)));
    list.value = this.student.name;
    list.addEventListener("change", () => {
      this.student = this.info.students.find((each) => each.name === list.value);
      this.showAsking();
    });
    return list;
  }

  path(name) {
    return this.info.students.length > 1 ? `/v1/students/${encodeURIComponent(this.student.name)}/${name}` : `/v1/${name}`;
  }

  async ask(fields, choices, precision) {
    const student = this.student;
    this.form.waiting(true);
    this.say("Asking …");
    const slow = setTimeout(() => this.say("Still computing. Others may be asking, too …"), SLOW);
    try {
      const entry = { student: student.name, fields, ...(choices ? { choices } : {}) };
      entry.answer = await this.calls.send(this.path("explain") + (precision ? `?precision=${precision}` : ""), exampleOf(entry));
      entry.group = this.groupOf(entry);
      this.entries.push(entry);
      clearTimeout(slow);
      this.show(this.entries.length - 1);
      this.showHistory();
      if (matchMedia("(max-width: 60rem)").matches) this.result.scrollIntoView();
      this.say(entry.answer.label === null ? "Answered." : `Answered: ${entry.answer.label}.`);
      await Promise.all([this.addWords(entry), this.addNear(entry)]);
    } catch (problem) {
      this.say(problem.message, "warning");
    } finally {
      clearTimeout(slow);
      this.form.waiting(false);
    }
  }

  /** Variants of one example share a group, so that a later training does not split them apart. */
  groupOf(entry) {
    const before = this.before(this.entries.length, entry);
    const kin = before && Object.keys(entry.fields).some((name) => before.fields[name] === entry.fields[name]);
    return kin ? before.group : crypto.randomUUID?.() ?? String(Math.random()).slice(2);
  }

  /** The entry before, of the same student. */
  before(place, entry) {
    return this.entries.slice(0, place).findLast((each) => each.student === entry.student) ?? null;
  }

  async addWords(entry) {
    try {
      const reply = await this.calls.send(this.path("attributions"), exampleOf(entry));
      entry.words = reply.words;
      if (this.entries[this.shown] === entry) this.show(this.shown);
    } catch (problem) {
      if (problem.status !== 422) this.say(problem.message, "warning"); // too many words: the answer is there all the same
    }
  }

  async addNear(entry) {
    if (!this.studentOf(entry).near) return;
    try {
      this.near.set(entry, (await this.calls.send(this.path("near"), exampleOf(entry))).examples);
      if (this.entries[this.shown] === entry) this.show(this.shown);
    } catch (problem) {
      this.say(problem.message, "warning");
    }
  }

  async argue(entry, button) {
    button.disabled = true;
    try {
      const reply = await this.calls.send(this.path("counterfactuals"), { original: exampleOf(entry), every_label: true });
      entry.arguments = reply.arguments;
      entry.support = reply.support;
      if (this.entries[this.shown] === entry) this.show(this.shown);
    } catch (problem) {
      this.say(problem.message, "warning");
      button.disabled = false;
    }
  }

  studentOf(entry) {
    return this.info.students.find((each) => each.name === entry.student) ?? this.info.students[0];
  }

  show(place) {
    this.shown = place;
    const entry = this.entries[place];
    const student = this.studentOf(entry);
    const before = this.before(place, entry);
    const asked = pairs([...Object.entries(entry.fields), ...(entry.choices ? [["choices", entry.choices.join("; ")]] : [])]);
    this.result.replaceChildren(
      element("h2", {}, "Answer"),
      asked,
      ...answerParts(entry, student),
      ...(before ? changeParts(before, entry) : []),
      ...(entry.words ? wordParts(entry, (word) => this.edit(entry, word)) : []),
      ...(entry.arguments ? argumentParts(entry, student.judge) : this.arguing(entry, student)),
      ...nearParts(this.near.get(entry) ?? []),
      ...(this.live && this.info.feedback ? [feedbackForm(entry, student, (body) => this.calls.send(this.path("feedback"), body))] : []),
    );
  }

  arguing(entry, student) {
    if (!this.live || student.order !== "label_first") return [];
    const button = element("button", { type: "button", onclick: () => this.argue(entry, button) }, "Have it argue for every label");
    return [element("p", {}, button)];
  }

  edit(entry, word) {
    if (!this.live) return;
    this.form.fill(entry.fields);
    const { begin, end } = placed(entry, word.field).find((each) => each.word === word);
    this.form.select(word.field, begin, end);
    this.say("Type another word in its place, then ask.");
  }

  showHistory() {
    if (!this.entries.length) return;
    const items = this.entries.map((entry, place) => {
      const texts = Object.values(entry.fields).join(" / ");
      const words = [element("strong", { dir: "auto" }, entry.answer.label ?? "–"), ` ${texts.length > 160 ? `${texts.slice(0, 160)}…` : texts}`];
      return element("li", {}, element("button", { type: "button", onclick: () => this.show(place) }, ...words));
    });
    const parts = this.entries.length > 1 ? [element("h2", {}, "Asked so far"), element("ol", {}, ...items)] : [];
    if (this.live) parts.push(this.sharing());
    this.history.replaceChildren(...parts);
  }

  sharing() {
    const link = element("input", { type: "text", readonly: true, hidden: true, "aria-label": "Link to this session" });
    const button = element("button", { type: "button" }, "Copy a link to this session");
    button.addEventListener("click", async () => {
      history.replaceState(null, "", `#${historyToHash(this.entries)}`);
      link.value = location.href;
      link.hidden = false;
      link.select();
      await navigator.clipboard?.writeText(link.value).catch(() => {});
      this.say("The link holds the last questions and answers themselves. Whoever has it can read them.");
    });
    return element("p", { class: "sharing" }, button, link);
  }
}

new AnswersPage(JSON.parse(document.getElementById("data").textContent));
