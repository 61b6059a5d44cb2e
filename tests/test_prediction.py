"""Answering in each output order, students as users see them, and predictions files that survive a stop."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from reasondistill.config import Generation
from reasondistill.contracts.records import Example, read_predictions
from reasondistill.errors import CheckpointError, DataError, OutputError
from reasondistill.students import prediction_files as prediction_module
from reasondistill.students.engines import Answer, Generated, answer
from reasondistill.students.engines.engine import Scored
from reasondistill.students.prediction_files import predict_file
from reasondistill.students.student import Student
from reasondistill.tasks.task import NLI, OutputOrder, Segment, Target, Task

LABELS = ("entailment", "neutral", "contradiction")
GREEDY = Generation(num_beams=1)
FACTS = {"data": {"name": "own", "split": "test", "fingerprint": "abc"}}


def number_in(prompt: str) -> int:
    found = re.search(r"pair (\d+)", prompt)
    assert found is not None, prompt
    return int(found[1])


def pairs(n: int) -> list[Example]:
    return [
        Example(id=f"p{i}", fields={"premise": f"This is pair {i}.", "hypothesis": "so " * (i % 4) + "it is."})
        for i in range(n)
    ]


@dataclass
class Scripted:
    """An engine that answers by rule: pair i gets the label i % 3, and is truncated if 5 divides i.

    ``behind`` comes after each text; with ``stop_after``, the work is broken off after so many calls of `score`.
    """

    behind: str = ""
    stop_after: int | None = None
    calls: list[tuple[str, list[str], Any]] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)

    def score(
        self, prompts: Sequence[str], targets: Sequence[Sequence[Target]], of: Scored = "label"
    ) -> list[list[float]]:
        if self.stop_after is not None and sum(name == "score" for name, *_ in self.calls) >= self.stop_after:
            raise KeyboardInterrupt
        self.calls.append(("score", list(prompts), [list(t) for t in targets]))
        self.answered += map(number_in, prompts)
        return [
            [0.0 if place == number_in(prompt) % 3 else -2.0 for place, _ in enumerate(choices)]
            for prompt, choices in zip(prompts, targets, strict=True)
        ]

    def generate(self, prompts: Sequence[str], prefixes: Sequence[str], generation: Generation) -> list[Generated]:
        self.calls.append(("generate", list(prompts), list(prefixes)))
        return [
            Generated(f"since {number_in(p)} in {generation.num_beams} beams{self.behind}", number_in(p) % 5 == 0)
            for p in prompts
        ]

    @property
    def names(self) -> list[str]:
        return [name for name, *_ in self.calls]


def student(engine: Any = None, order: OutputOrder = "label_first", task: Task = NLI) -> Student:
    return Student(engine or Scripted(), task, order, GREEDY, fingerprint="s1")


# --- answering ---


def test_label_first_explains_the_label_that_it_decided() -> None:
    engine = Scripted()
    found = answer(engine, NLI, "label_first", pairs(3), GREEDY)
    assert engine.names == ["score", "generate"]
    prompts = [f"explain nli premise: This is pair {i}. hypothesis: {'so ' * i}it is." for i in range(3)]
    assert engine.calls[0][1] == engine.calls[1][1] == prompts
    assert engine.calls[0][2] == [[Target((Segment(label, "label"),)) for label in LABELS]] * 3
    assert engine.calls[1][2] == [f"{label} explanation:" for label in LABELS]
    assert [a.label for a in found] == list(LABELS)
    assert [a.explanation for a in found] == [f"since {i} in 1 beams" for i in range(3)]
    assert [a.truncated for a in found] == [True, False, False]
    assert {(a.raw_output, a.parsed_label) for a in found} == {(None, None)}


def test_explanation_first_decides_after_its_own_explanation() -> None:
    engine = Scripted(behind=" label: neutral")
    found = answer(engine, NLI, "explanation_first", pairs(3), GREEDY)
    assert engine.names == ["generate", "score"]
    assert engine.calls[0][2] == ["", "", ""]
    assert engine.calls[1][2][2] == [
        Target((Segment("since 2 in 1 beams label:", "context"), Segment(f" {label}", "label"))) for label in LABELS
    ]
    assert [a.label for a in found] == list(LABELS), "the label is scored, not read from the text"
    assert found[2].explanation == "since 2 in 1 beams"


def test_label_only_writes_nothing() -> None:
    engine = Scripted()
    found = answer(engine, NLI, "label_only", pairs(2), GREEDY)
    assert engine.names == ["score"]
    assert [(a.label, a.explanation, a.truncated) for a in found] == [("entailment", "", False), ("neutral", "", False)]


def test_explanation_only_decides_nothing() -> None:
    engine = Scripted()
    found = answer(engine, NLI, "explanation_only", pairs(2), GREEDY)
    assert engine.names == ["generate"]
    assert found[1] == Answer(None, {}, "since 1 in 1 beams", False)


def test_separate_asks_two_questions() -> None:
    engine = Scripted()
    (found,) = answer(engine, NLI, "separate", pairs(1), GREEDY)
    assert [(name, prompts[0].split()[0], asked) for name, prompts, asked in engine.calls] == [
        ("score", "predict", [[Target((Segment(label, "label"),)) for label in LABELS]]),
        ("generate", "explain", [""]),
    ]
    assert (found.label, found.explanation) == ("entailment", "since 0 in 1 beams")


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("label_first", ["score"]),
        ("explanation_first", ["generate", "score"]),
        ("label_only", ["score"]),
        ("explanation_only", []),
        ("separate", ["score"]),
    ],
)
def test_explanations_can_be_left_out_where_the_label_does_not_need_them(order: OutputOrder, names: list[str]) -> None:
    engine = Scripted()
    answer(engine, NLI, order, pairs(2), GREEDY, explain=False)
    assert engine.names == names


def test_probabilities_are_a_softmax_over_the_labels() -> None:
    (found,) = answer(Scripted(), NLI, "label_only", pairs(1), GREEDY)
    rest = math.exp(-2) / (1 + 2 * math.exp(-2))
    assert found.probabilities == pytest.approx(
        {"entailment": 1 / (1 + 2 * math.exp(-2)), "neutral": rest, "contradiction": rest}
    )
    assert list(found.probabilities) == list(LABELS)


@pytest.mark.parametrize(
    ("scores", "label", "probabilities"),
    [
        ([-1000.0, -1000.0 + math.log(3), -2000.0], "neutral", [0.25, 0.75, 0.0]),
        ([-5.0, -5.0, -5.0], "entailment", [1 / 3] * 3),
        ([0.0, 800.0, 0.0], "neutral", [0.0, 1.0, 0.0]),
    ],
)
def test_scores_of_any_size_give_probabilities(scores: list[float], label: str, probabilities: list[float]) -> None:
    class Fixed(Scripted):
        def score(
            self, prompts: Sequence[str], targets: Sequence[Sequence[Target]], of: Scored = "label"
        ) -> list[list[float]]:
            return [scores]

    (found,) = answer(Fixed(), NLI, "label_only", pairs(1), GREEDY)
    assert found.label == label
    assert list(found.probabilities.values()) == pytest.approx(probabilities)


@pytest.mark.parametrize(
    ("order", "behind", "raw", "parsed"),
    [
        ("label_first", " explanation: x", "since 1 in 1 beams explanation: x", None),
        ("explanation_first", " label: Contradiction", "since 1 in 1 beams label: Contradiction", "contradiction"),
        ("label_only", "", "since 1 in 1 beams", None),
    ],
)
def test_left_to_write_freely_its_text_is_parsed(order: OutputOrder, behind: str, raw: str, parsed: str | None) -> None:
    engine = Scripted(behind=behind)
    found = answer(engine, NLI, order, pairs(2), GREEDY, free=True)[1]
    assert engine.calls[-1] == ("generate", [p["label"] for p in map(_prompts(order), pairs(2))], ["", ""])
    assert (found.raw_output, found.parsed_label) == (raw, parsed)
    assert found.label == "neutral", "what it writes freely does not change its answer"


def _prompts(order: OutputOrder) -> Any:
    return lambda example: NLI.render_prompts(order, example)


def test_a_label_written_freely_is_read() -> None:
    class Labelling(Scripted):
        def generate(self, prompts: Sequence[str], prefixes: Sequence[str], generation: Generation) -> list[Generated]:
            return [Generated(f"{'' if p else 'Entailment explanation: '}because", False) for p in prefixes]

    (found,) = answer(Labelling(), NLI, "label_first", pairs(1), GREEDY, free=True)
    assert (found.explanation, found.raw_output, found.parsed_label) == (
        "because",
        "Entailment explanation: because",
        "entailment",
    )


def test_each_example_may_have_choices_of_its_own() -> None:
    prompt = "pair {question} of {choices}"
    task = Task(
        name="t", fields=("question",), labels=None, prompt=prompt, label_prompt=prompt, explanation_prompt=prompt
    )
    asked = [
        Example(id="a", fields={"question": "0"}, choices=("left", "right")),
        Example(id="b", fields={"question": "2"}, choices=("up", "down", "on")),
    ]
    engine = Scripted()
    found = answer(engine, task, "label_first", asked, GREEDY)
    assert [list(a.probabilities) for a in found] == [["left", "right"], ["up", "down", "on"]]
    assert [a.label for a in found] == ["left", "on"]
    assert engine.calls[1][2] == ["left explanation:", "on explanation:"]


@pytest.mark.parametrize("order", ["label_first", "explanation_first", "label_only", "explanation_only", "separate"])
def test_no_examples_have_no_answers(order: OutputOrder) -> None:
    assert answer(Scripted(), NLI, order, [], GREEDY, free=True) == []


# --- a student ---


def test_a_student_explains_one_example() -> None:
    found = student().explain(premise="pair 4", hypothesis="h")
    assert (found.label, found.explanation, found.truncated) == ("neutral", "since 4 in 1 beams", False)
    assert sum(found.probabilities.values()) == pytest.approx(1.0)
    assert found.label == max(found.probabilities, key=found.probabilities.__getitem__)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"premise": "p"}, "expected the fields ['premise', 'hypothesis'] of the task 'nli', found ['premise']"),
        ({}, "found []. Add ['premise', 'hypothesis']"),
        (
            {"premise": "p", "hypothesis": "h", "question": "q"},
            "explain: expected the fields ['premise', 'hypothesis'], found ['question']. Leave them out.",
        ),
    ],
)
def test_fields_that_do_not_fit_are_named(fields: dict[str, str], message: str) -> None:
    engine = Scripted()
    with pytest.raises(DataError, match=re.escape(message)):
        student(engine).explain(**fields)  # type: ignore[arg-type]  # the wrong ones, too
    assert engine.calls == []


ASKING = Task.model_validate({"name": "t", "fields": ["question", "precision", "self"]})
QUESTION = {"question": "pair 1", "precision": "0.9", "self": "none"}


def test_fields_may_have_any_name_when_they_are_given_as_a_mapping() -> None:
    found = student(task=ASKING).explain(QUESTION, choices=["bank", "bank of a river"])
    assert (found.label, list(found.probabilities)) == ("bank of a river", ["bank", "bank of a river"])
    named = student(task=ASKING).explain({"precision": "0.9"}, question="pair 1", self="none", choices=("a", "b"))
    assert named.label == "b"
    with pytest.raises(DataError, match=r"expected each field once, found \['question'\] twice"):
        student(task=ASKING).explain(QUESTION, question="pair 1", choices=["a", "b"])
    with pytest.raises(DataError, match="expected fields by name, or a mapping of them, found 'pair 1'"):
        student(task=ASKING).explain("pair 1", choices=["a", "b"])  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"explain: .*fields\.question: Input should be a valid string"):
        student(task=ASKING).explain(QUESTION | {"question": 1}, choices=["a", "b"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ("bank", "choices: expected a list of texts, found 'bank'. Write ['bank']."),
        (7, "choices: expected a list of texts, found 7"),
        (
            None,
            "choices: expected choices, which the task 't' needs, found none. Give them: choices=[\"ban",
        ),
        ([], "found none"),
        (["bank", "Bank"], "hold one twice"),
        (["bank", ["river"]], "choices.1: Input should be a valid string"),
    ],
)
def test_choices_are_a_list_of_different_texts(choices: Any, message: str) -> None:
    engine = Scripted()
    with pytest.raises(DataError, match=re.escape(message)):
        student(engine, task=ASKING).explain(QUESTION, choices=choices)
    assert engine.calls == []


def test_a_task_with_labels_of_its_own_takes_no_choices() -> None:
    with pytest.raises(DataError, match="choices: expected none, as the task 'nli' has the labels"):
        student().explain(premise="p", hypothesis="h", choices=["a", "b"])


def test_a_text_is_not_taken_for_a_list_of_labels() -> None:
    with pytest.raises(DataError, match="labels: expected a list of texts, found 'no'"):
        student().explain_for(pairs(2), "no")
    with pytest.raises(DataError, match="explanations: expected a list of texts, found 'no'"):
        student().explanation_scores(pairs(2), ["neutral", "neutral"], "no")


def test_a_student_predicts_in_order_with_its_own_settings_or_others() -> None:
    found = student().predict(pairs(4))
    assert [p.id for p in found] == ["p0", "p1", "p2", "p3"]
    assert found[1].explanation == "since 1 in 1 beams"
    assert student().predict(pairs(2), generation=Generation(num_beams=3))[1].explanation == "since 1 in 3 beams"
    assert student().predict(pairs(2), free=True)[1].raw_output == "since 1 in 1 beams"


def test_a_folder_that_is_no_student_is_named(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    with pytest.raises(CheckpointError, match=r"absent: expected a student folder.*found no such folder"):
        Student.load(tmp_path / "absent")
    with pytest.raises(CheckpointError, match=r"found no task\.json in it"):
        Student.load(tmp_path)


# --- predictions files ---


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction_module, "WINDOW", 4)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def stopped(out: Path, examples: list[Example], after: int) -> None:
    """A job that is broken off after some chunks."""
    with pytest.raises(KeyboardInterrupt):
        predict_file(student(Scripted(stop_after=after)), examples, out, facts=FACTS)


def test_a_predictions_file_has_the_order_of_the_examples(tmp_path: Path) -> None:
    engine, out = Scripted(), tmp_path / "new" / "test.jsonl"
    done: list[int] = []
    assert predict_file(student(engine), pairs(10), out, facts=FACTS, progress=done.append) == out
    found = list(read_predictions(out))
    assert [p.id for p in found] == [f"p{i}" for i in range(10)]
    assert [p.label for p in found] == [LABELS[i % 3] for i in range(10)]
    assert found == student().predict(pairs(10))
    assert done == [0, 4, 8, 10]
    assert names(out.parent) == ["test.jsonl", "test.meta.json"]
    assert [len(prompts) for name, prompts, _ in engine.calls if name == "score"] == [4, 4, 2], "window by window"


def test_what_predictions_depend_on_lies_beside_them(tmp_path: Path) -> None:
    out = predict_file(student(), pairs(2), tmp_path / "test.jsonl", facts=FACTS, free=True)
    meta = json.loads((tmp_path / "test.meta.json").read_text(encoding="utf-8"))
    assert meta["student"] == "s1"
    assert meta["data"] == FACTS["data"]
    assert meta["generation"] == GREEDY.model_dump()
    assert meta["free"] is True
    assert re.fullmatch(r"[0-9a-f]{16}", meta["task"])
    assert next(read_predictions(out)).raw_output == "since 0 in 1 beams"


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_job_goes_on_where_it_was_stopped(tmp_path: Path, after: int) -> None:
    whole = predict_file(student(), pairs(10), tmp_path / "whole.jsonl", facts=FACTS)
    out = tmp_path / "test.jsonl"
    stopped(out, pairs(10), after)
    assert not out.exists()
    part = tmp_path / "test.jsonl.part"
    kept = [json.loads(line)["id"] for line in part.read_text(encoding="utf-8").splitlines()]
    assert len(kept) == 4 * after
    engine = Scripted()
    done: list[int] = []
    predict_file(student(engine), pairs(10), out, facts=FACTS, progress=done.append)
    assert sorted(f"p{i}" for i in engine.answered) == sorted({f"p{i}" for i in range(10)} - set(kept))
    assert done[0] == 4 * after
    assert done[-1] == 10
    assert out.read_bytes() == whole.read_bytes()
    assert not part.exists()


@pytest.mark.parametrize("kept", range(11))
def test_a_window_that_was_cut_short_is_answered_again_as_a_whole(tmp_path: Path, kept: int) -> None:
    whole = predict_file(student(), pairs(10), tmp_path / "whole.jsonl", facts=FACTS).read_bytes()
    out, part = tmp_path / "test.jsonl", tmp_path / "test.jsonl.part"
    stopped(out, pairs(10), after=0)
    part.write_bytes(b"".join(whole.splitlines(keepends=True)[:kept]))
    engine = Scripted()
    predict_file(student(engine), pairs(10), out, facts=FACTS)
    asked = [list(map(number_in, prompts)) for name, prompts, _ in engine.calls if name == "score"]
    assert asked == [[*range(4)], [*range(4, 8)], [8, 9]][kept // 4 if kept < 10 else 3 :]
    assert out.read_bytes() == whole


@pytest.mark.parametrize("torn", ['{"id": "p9", "label": "neu', '{"id": "p9", "label": "neutral"}', "{", "é"])
def test_a_last_line_that_a_stop_tore_is_answered_again(tmp_path: Path, torn: str) -> None:
    out, part = tmp_path / "test.jsonl", tmp_path / "test.jsonl.part"
    stopped(out, pairs(10), after=1)
    with part.open("ab") as stream:
        stream.write(torn.encode()[: -1 if torn == "é" else None])  # half a character too
    stopped(out, pairs(10), after=1)  # goes on, and is stopped again
    assert [json.loads(line)["id"] for line in part.read_text(encoding="utf-8").splitlines()]
    engine = Scripted()
    predict_file(student(engine), pairs(10), out, facts=FACTS)
    assert len(engine.answered) == 2
    assert list(read_predictions(out)) == student().predict(pairs(10))


def test_nothing_but_a_torn_line_is_nothing(tmp_path: Path) -> None:
    out = tmp_path / "test.jsonl"
    stopped(out, pairs(3), after=0)
    (tmp_path / "test.jsonl.part").write_text('{"id"', encoding="utf-8")
    engine = Scripted()
    predict_file(student(engine), pairs(3), out, facts=FACTS)
    assert sorted(engine.answered) == [0, 1, 2]


def test_a_broken_line_inside_is_named(tmp_path: Path) -> None:
    out, part = tmp_path / "test.jsonl", tmp_path / "test.jsonl.part"
    stopped(out, pairs(10), after=1)
    lines = part.read_text(encoding="utf-8").splitlines(keepends=True)
    part.write_text("".join([lines[0], "{broken\n", *lines[2:]]), encoding="utf-8")
    with pytest.raises(DataError, match=r"test\.jsonl\.part:2: expected a JSON object"):
        predict_file(student(), pairs(10), out, facts=FACTS)
    assert not out.exists()


def test_a_finished_file_is_not_made_again(tmp_path: Path) -> None:
    out = predict_file(student(), pairs(5), tmp_path / "test.jsonl", facts=FACTS)
    before = out.read_bytes()
    engine = Scripted()
    done: list[int] = []
    assert predict_file(student(engine), pairs(5), out, facts=FACTS, progress=done.append) == out
    assert engine.calls == []
    assert done == [5]
    assert out.read_bytes() == before


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("student", {"student": replace(student(), fingerprint="s2")}),
    ("task", {"student": student(order="label_only")}),
    ("data", {"facts": {"data": {**FACTS["data"], "fingerprint": "abd"}}}),
    ("generation", {"generation": Generation(num_beams=2)}),
    ("free", {"free": True}),
    ("data, free", {"facts": {}, "free": True}),
]


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize(("differing", "change"), CHANGES)
def test_another_jobs_predictions_are_not_mixed_with(
    tmp_path: Path, differing: str, change: dict[str, Any], finished: bool
) -> None:
    out = tmp_path / "test.jsonl"
    if finished:
        predict_file(student(), pairs(6), out, facts=FACTS)
    else:
        stopped(out, pairs(6), after=1)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    options: dict[str, Any] = {"student": student(), "facts": FACTS} | change
    with pytest.raises(OutputError, match=rf"found ones that differ in {differing} \(see test\.meta\.json\)\. .*--out"):
        predict_file(options.pop("student"), pairs(6), out, **options)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_job_that_an_earlier_version_began_goes_on(tmp_path: Path) -> None:
    out, meta_file = tmp_path / "test.jsonl", tmp_path / "test.meta.json"
    stopped(out, pairs(6), after=1)
    meta = json.loads(meta_file.read_text(encoding="utf-8"))
    assert meta.pop("task_definition") == NLI.model_dump(mode="json")
    meta_file.write_text(json.dumps(meta), encoding="utf-8")
    predict_file(student(), pairs(6), out, facts=FACTS)
    assert len(out.read_text(encoding="utf-8").splitlines()) == 6


def test_a_file_of_unknown_origin_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "test.jsonl"
    out.write_text("mine\n", encoding="utf-8")
    with pytest.raises(OutputError, match="found one without a record of how it was made"):
        predict_file(student(), pairs(2), out, facts=FACTS)
    assert out.read_text(encoding="utf-8") == "mine\n"
    assert names(tmp_path) == ["test.jsonl"]


def test_rows_of_unknown_origin_are_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl.part").write_text('{"id": "p0", "label": "contradiction"}\n', encoding="utf-8")
    out = predict_file(student(), pairs(2), tmp_path / "test.jsonl", facts=FACTS)
    assert [p.label for p in read_predictions(out)] == ["entailment", "neutral"]
