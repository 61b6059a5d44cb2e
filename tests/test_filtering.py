"""All filters together: what is accepted, what it costs, the files of `teach filter`, and a filter of one's own."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from make import mistake, pair, write_jsonl
from reasondistill.contracts.filtering import Filtering, RejectedAnswer
from reasondistill.contracts.records import read_examples, read_predictions
from reasondistill.contracts.row_files import read_rows
from reasondistill.contracts.teaching import TeacherAnswer
from reasondistill.data import load
from reasondistill.errors import ConfigError
from reasondistill.tasks.task import NLI
from reasondistill.teachers.filters.applying import Filtered, filter_answers
from reasondistill.teachers.filters.filter_definition import Candidate, Filter, Pool, Verdict
from reasondistill.teachers.filters.filters_config import FiltersConfig
from reasondistill.teachers.filters.registered_filters import forget, known_filters, register

FILTERS_PAGE = Path(__file__).resolve().parents[1] / "docs" / "filters.md"
ROWS = [
    pair("Two dogs run on the beach.", "The dogs are asleep.", id="1", label="contradiction", group="g"),
    pair("A man plays a guitar.", "A person makes music.", id="2", label="entailment"),
    pair("A woman reads a book.", "A woman reads a novel.", id="3"),
    pair("A child eats.", "A child is hungry.", id="4"),
]


def answer(id: str, text: str, label: str | None, sample: int = 0, **more: object) -> TeacherAnswer:
    fields = {"id": id, "teacher": "llm", "mode": "explanation_then_label", "sample": sample} | more
    return TeacherAnswer.model_validate({**fields, "explanation": text, "label": label})


ANSWERS = [
    answer("1", "Dogs that run are not asleep.", "contradiction"),
    answer("1", "dogs that run are not asleep", "contradiction", 1),
    answer("1", "The dogs may be asleep on the beach.", "neutral", 2),
    answer("2", "A man plays a guitar.", "entailment"),
    answer("2", "", None, 1, problem="no JSON"),
    answer("3", "Not every book is a novel.", "neutral"),
    answer("3", "A book that a woman reads can be a novel.", "neutral", 1),
    answer("3", "A novel is a book that she reads.", "entailment", 2),
]


@pytest.fixture(scope="module")
def filtered() -> Filtered:
    return filter_answers(ROWS, ANSWERS, NLI)


def test_what_is_accepted_is_ready_to_learn_from(filtered: Filtered) -> None:
    assert [(e.id, e.label, [x.text for x in e.references], e.group) for e in filtered.accepted] == [
        ("1", "contradiction", ["Dogs that run are not asleep."], "g"),
        ("2", "entailment", [], None),  # its label is its own, and stays
        ("3", "neutral", [ANSWERS[5].explanation, ANSWERS[6].explanation], None),
    ]
    assert {x.source for e in filtered.accepted for x in e.explanations} == {"llm"}


def test_each_reject_says_why(filtered: Filtered) -> None:
    assert [(row.filter, row.answer.id, row.answer.sample) for row in filtered.rejected] == [
        ("problems", "2", 1),
        ("copies", "2", 0),
        ("self_consistency", "1", 2),
        ("self_consistency", "3", 2),
        ("near_duplicates", "1", 1),
    ]
    assert [row.reason for row in filtered.rejected][:2] == ["no JSON", "restates a field"]


def test_rows_without_a_label_get_the_vote_with_its_probability(filtered: Filtered) -> None:
    [taught] = filtered.taught_labels
    assert (taught.id, taught.label) == ("3", "neutral")
    assert taught.probabilities == pytest.approx({"entailment": 1 / 3, "neutral": 2 / 3, "contradiction": 0})
    counts = filtered.filtering.taught_labels
    assert counts is not None
    assert (counts.rows, counts.labelled, counts.votes, counts.labels) == (1, 1, 3, {"neutral": 1})  # nobody saw row 4


def check_counts(filtered: Filtered, answers: int) -> None:
    """Every answer is kept or rejected, once; each filter begins with what the one before it left."""
    filtering = filtered.filtering
    assert filtering.answers == answers == filtering.coverage.kept + len(filtered.rejected)
    left = answers
    for outcome in filtering.filters.values():
        assert outcome.coverage.answers == left
        left = outcome.coverage.kept
        assert sum(outcome.reasons.values()) == outcome.coverage.answers - left
        if outcome.by_label:
            assert sum(part.kept for part in outcome.by_label.values()) == left
    for parts in (filtering.by_label, filtering.teachers):
        assert sum(part.answers for part in parts.values()) == answers
        assert sum(part.kept for part in parts.values()) == filtering.coverage.kept
    assert sum(len(example.explanations) for example in filtered.accepted) <= filtering.coverage.kept


def test_counts_add_up(filtered: Filtered) -> None:
    check_counts(filtered, len(ANSWERS))
    assert (filtered.filtering.accepted, filtered.filtering.label_only) == (3, 1)
    shown = filtered.filtering.filters["copies"].shown
    assert [(row.id, row.fields["premise"], row.reason) for row in shown] == [
        ("2", "A man plays a guitar.", "restates a field")
    ]


TEXTS = st.sampled_from(["", "Dogs run, so they are awake.", "A man plays a guitar.", "no", "and the", "A {premise}"])
LABELS = st.sampled_from([None, "neutral", "entailment"])


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.tuples(st.sampled_from("1234"), TEXTS, LABELS, st.sampled_from(["", "cut"])), max_size=12))
def test_counts_add_up_whatever_comes(rows: list[tuple[str, str, str | None, str]]) -> None:
    answers = [answer(i, text, label, k, problem=problem) for k, (i, text, label, problem) in enumerate(rows)]
    filtered = filter_answers(ROWS, answers, NLI)
    check_counts(filtered, len(answers))
    for example in filtered.accepted:
        assert example.label is not None or not example.explanations
    assert filter_answers(ROWS, answers, NLI) == filtered


def test_rows_without_an_explanation_can_be_dropped() -> None:
    config = FiltersConfig(unexplained="drop", use={"near_duplicates": False})
    accepted = filter_answers(ROWS, ANSWERS, NLI, config).accepted
    assert [(e.id, len(e.explanations)) for e in accepted] == [("1", 2), ("3", 2)]


def test_explanations_of_other_labels_say_which() -> None:
    argued = [
        answer("1", f"Dogs on the beach {label}.", label, mode="every_label", argued_label=label)
        for label in ("entailment", "contradiction")
    ]
    [example] = filter_answers(ROWS, argued, NLI).accepted
    assert [x.label for x in example.explanations] == ["entailment", None]
    assert len(example.references) == 1


def test_labels_alone_are_accepted_for_rows_that_had_none() -> None:
    probabilities = {"neutral": 0.9, "entailment": 0.1}
    only = [answer("4", "", "neutral", mode="label_only", probabilities=probabilities)]
    [example] = filter_answers(ROWS, only, NLI).accepted
    assert (example.id, example.label, example.explanations) == ("4", "neutral", ())
    sure = FiltersConfig(use={"teacher_confidence": {"min_confidence": 0.95}})
    assert filter_answers(ROWS, only, NLI, sure).accepted == []


def test_an_answer_to_no_row_is_refused() -> None:
    mistake(lambda: filter_answers(ROWS, [answer("9", "x", None)], NLI), "one to '9'")


# --- which filters ---


def test_mistakes_in_a_configuration_are_named() -> None:
    for use, named in (
        ({"lenght": True}, "lenght is no filter"),
        ({"length": {"min_words": "x"}}, "length: min_words"),
        ({"length": {"words": 3}}, "words"),
        ({"judge_support": True}, "judge"),
        ({"problems": False}, "problems cannot be left out"),
    ):
        with pytest.raises(ValidationError, match=named):
            FiltersConfig.model_validate({"use": use})


def test_filters_are_chosen_by_name() -> None:
    on = [kind.name for kind in known_filters() if kind.on]
    assert [rule.name for rule in FiltersConfig().chosen()] == on
    assert {"leak", "consensus", "judge_support"}.isdisjoint(on)
    changed = FiltersConfig(use={"leak": True, "cut": False}).chosen()
    assert {rule.name for rule in changed} == {*on, "leak"} - {"cut"}


class Shouting(Filter):
    """Explanations in capitals."""

    name = "shouting"
    title = "Is it calm?"
    meaning = "Rejects capitals."
    turn = 5

    def verdict(self, candidate: Candidate, pool: Pool) -> Verdict:
        return Verdict("in capitals" if candidate.answer.explanation.isupper() else "", 1.0)


@pytest.fixture
def own() -> Iterator[None]:
    register(Shouting)
    yield
    forget(Shouting.name)


def test_a_filter_of_ones_own_is_run_and_named(own: None) -> None:
    filtered = filter_answers(ROWS, [answer("1", "DOGS THAT RUN ARE NOT ASLEEP.", "contradiction")], NLI)
    assert [row.filter for row in filtered.rejected] == ["shouting"]
    assert filtered.filtering.filters["shouting"].title == "Is it calm?"
    assert FiltersConfig(use={"shouting": False}).chosen()[0].name == "problems"
    with pytest.raises(ConfigError, match="no filter of the package"):
        register(type("Impostor", (Shouting,), {"name": "cut", "__module__": __name__}))


def missing_from(page: str) -> list[str]:
    rows = {
        kind.name: f"| `{kind.name}` | {'yes' if kind.on else 'no'} | {kind.title} | {kind.meaning} |"
        for kind in known_filters()
    }
    return [name for name, row in rows.items() if row not in page.splitlines()]


def test_the_page_of_filters_has_each_as_its_class_says(own: None) -> None:
    assert missing_from(FILTERS_PAGE.read_text(encoding="utf-8")) == ["shouting"]


def test_turns_are_all_different() -> None:
    turns = [kind.turn for kind in known_filters()]
    assert turns == sorted(set(turns))


# --- the files ---


@pytest.fixture
def taught(command: Callable[..., tuple[int, str]], tmp_path: Path) -> Path:
    """The folder of a run whose teacher is a file."""
    data = [{"id": e.id, **e.fields, "label": e.label, "group": e.group} for e in ROWS[:3]]
    recorded = [
        {"id": a.id, "label": a.label, "explanation": a.explanation} for a in (ANSWERS[0], ANSWERS[3], ANSWERS[5])
    ]
    value = {
        "name": "run",
        "teaching_dir": str(tmp_path),
        "data": {"source": str(write_jsonl(tmp_path / "data.jsonl", *data))},
        "teachers": [{"kind": "recorded", "name": "llm", "file": str(write_jsonl(tmp_path / "r.jsonl", *recorded))}],
    }
    (tmp_path / "t.yaml").write_text(yaml.safe_dump(value))
    status, said = command("teach", tmp_path / "t.yaml")
    assert status == 0, said
    return tmp_path / "run"


def test_a_run_writes_what_is_accepted_with_a_card(taught: Path, tmp_path: Path) -> None:
    assert [len(e.explanations) for e in read_examples(taught / "accepted.jsonl")] == [1, 0, 1]
    assert [(row.answer.id, row.filter) for row in read_rows(RejectedAnswer, taught / "rejected.jsonl")] == [
        ("2", "copies")
    ]
    assert [p.label for p in read_predictions(taught / "labels.jsonl")] == ["neutral"]
    assert Filtering.load(taught / "filtering.json").accepted == 3
    card = (taught / "card.md").read_text(encoding="utf-8")
    for text in (
        "| copies | max_copied 0.9 | 2 of 3 | 2 of 3 | restates a field (1) |",
        "rows without a label: 1, labelled by teachers: 1",
    ):
        assert text in " ".join(card.split()), text
    assert len(load(taught / "accepted.jsonl", split=None).examples) == 3


def test_other_filters_are_run_over_the_same_answers(
    taught: Path, command: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    before = {path.name: path.read_bytes() for path in taught.iterdir()}
    words = ("--set", "use.copies=false", "--set", "use.length={min_words: 6}", "--set", "unexplained=drop")
    status, said = command("teach", "filter", taught, *words, "--out", tmp_path / "new")
    assert status == 0, said
    assert "fewer than 6 words" in " ".join(said.split())
    assert {path.name: path.read_bytes() for path in taught.iterdir()} == before
    assert [e.id for e in read_examples(tmp_path / "new" / "accepted.jsonl")] == ["1", "3"]
    again = tmp_path / "same"
    assert command("teach", "filter", taught, "--out", again)[0] == 0
    assert (again / "accepted.jsonl").read_bytes() == before["accepted.jsonl"]


def test_filters_can_come_from_a_file(taught: Path, command: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text("use: {copies: false}\n")
    status, said = command(
        "teach", "filter", taught, "--config", tmp_path / "f.yaml", "--json", "--out", tmp_path / "new"
    )
    assert status == 0, said
    assert json.loads(said)["coverage"]["kept"] == 3


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--set", "use.judge_support={judge: nowhere}"), "a judge's folder"),
        (("--set", "use.lenght=true"), "lenght is no filter"),
        (("--set", "use.length.max=3"), "max"),
    ],
)
def test_mistakes_leave_nothing(
    taught: Path, command: Callable[..., tuple[int, str]], tmp_path: Path, words: tuple[str, ...], named: str
) -> None:
    status, said = command("teach", "filter", taught, *words, "--out", tmp_path / "new")
    assert (status, (tmp_path / "new").exists()) == (2, False)
    assert named in said


def test_answers_about_other_data_are_refused(
    taught: Path, command: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(path.read_text().replace("beach", "shore"))
    status, said = command("teach", "filter", taught, "--out", tmp_path / "new")
    assert (status, (tmp_path / "new").exists()) == (2, False)
    assert "the rows that teachers were asked about" in said


@pytest.mark.real
def test_filters_and_people_agree_on_gpt3s_explanations(data_folder: Path) -> None:
    """On all 5,000: figures of docs/filters.md, with room for what a library's next version changes."""
    benchmark: dict[str, Any] = runpy.run_path(str(FILTERS_PAGE.parents[1] / "benchmarks" / "filters.py"))
    rows, acceptable = benchmark["measure"](data_folder / "teachers" / "gpt3_snli_train.jsonl", None, [])
    by_name = {row.name: row for row in rows}
    assert len(acceptable) == 5000
    assert acceptable.mean() == pytest.approx(0.293, abs=0.001)
    assert by_name["off_topic (off)"].auc[0] > 0.64
    assert by_name["consensus (off)"].precision[0] > acceptable.mean() + 0.04
    assert by_name["leak (off)"].auc[0] < 0.4  # what gives the label away is better here
    assert by_name["all that are on"].kept > 0.95
    assert by_name["all scores, fitted to votes"].auc[0] > 0.7


@pytest.mark.real
def test_hardly_any_of_peoples_explanations_are_rejected(data_folder: Path) -> None:
    data = load(data_folder / "e-snli" / "esnli_dev.csv", split="validation").first(300)
    answers = [
        answer(e.id, x.text, e.label, k, mode="given_label", argued_label=e.label)
        for e in data.examples
        for k, x in enumerate(e.references)
    ]
    filtering = filter_answers(data.examples, answers, NLI).filtering
    assert filtering.coverage.kept > 0.94 * filtering.answers
    assert filtering.coverage.examples_kept == filtering.coverage.examples
