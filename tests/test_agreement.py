"""Agreement with teachers: kappa, bins and controls by hand, what is refused, and the way to the report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from make import answer
from reasondistill.comparison import ComparisonSettings, compare, generalisation, load_systems
from reasondistill.contracts.records import Example, Explanation, Prediction, write_records
from reasondistill.contracts.results import MetricValue
from reasondistill.data import load
from reasondistill.errors import DataError
from reasondistill.evaluation import Evaluation, EvaluationSettings, ReferenceTeacher, evaluate, save
from reasondistill.metrics.bertscore import why_left_out
from reasondistill.metrics.label import cohen_kappa
from reasondistill.reporting import build_report
from reasondistill.reporting.document import Gallery, Paragraph, Table
from reasondistill.reporting.sections.agreement import agreement_section
from reasondistill.tasks.task import NLI, Task

PLAIN = EvaluationSettings(bertscore=False, resamples=50)
E, N, C = "entailment", "neutral", "contradiction"


def example(number: int, label: str | None = N, explanations: tuple[Explanation, ...] = ()) -> Example:
    fields = {"premise": f"A dog runs past {number} cats.", "hypothesis": f"The dog chases {number} cats."}
    return Example(id=f"pair-{number}", fields=fields, label=label, explanations=explanations, group=f"photo {number}")


def agreement(
    predictions: list[Prediction], examples: list[Example], *teachers: ReferenceTeacher, task: Task = NLI
) -> Any:
    return evaluate(predictions, examples, task=task, name="dogs", settings=PLAIN, teachers=teachers)


# --- kappa ---


def test_kappa_by_hand() -> None:
    # 10 rows, 7 equal; frequencies 6:4 and 5:5, so that ½ agree by chance: (0.7 − 0.5) / (1 − 0.5).
    assert float(cohen_kappa(np.array([[4.0, 2.0], [1.0, 3.0]]))) == pytest.approx(0.4)
    assert float(cohen_kappa(np.array([[5.0, 0.0], [0.0, 5.0]]))) == 1
    assert float(cohen_kappa(np.array([[0.0, 5.0], [5.0, 0.0]]))) == -1
    assert np.isnan(cohen_kappa(np.array([[5.0, 0.0], [0.0, 0.0]])))
    assert np.isnan(cohen_kappa(np.zeros((2, 2))))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=2, max_size=30))
def test_kappa_is_that_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    counts = np.zeros((3, 3))
    for first, second in pairs:
        counts["abc".index(first), "abc".index(second)] += 1
    ours = float(cohen_kappa(counts))
    if len({label for pair in pairs for label in pair}) == 1:
        assert np.isnan(ours)
    else:
        theirs = cohen_kappa_score([a for a, _ in pairs], [b for _, b in pairs], labels=list("abc"))
        assert ours == pytest.approx(theirs)


# --- figures by hand ---


@pytest.fixture
def examples() -> list[Example]:
    return [example(1, N), example(2, N), example(3, C), example(4, E), example(5, None), example(6, E)]


@pytest.fixture
def student() -> list[Prediction]:
    return [
        answer(1, N, "Running past is not chasing."),
        answer(2, C, "A dog cannot chase."),
        answer(3, N, "It may chase them."),
        answer(4, E, ""),
        answer(5, E, "Dogs chase cats."),
        answer(6, None, "Dogs chase cats."),
    ]


@pytest.fixture
def teacher() -> ReferenceTeacher:
    return ReferenceTeacher.of_predictions(
        "gpt",
        [
            answer(1, N, "Running past is not chasing."),  # right, and the student agrees
            answer(2, N, "A cat cannot chase."),  # right, the student does not
            answer(3, N, "It may chase them."),  # wrong, and the student repeats it
            answer(4, C, "Dogs sleep."),  # wrong, the student is right and says nothing
            answer(5, E, " "),  # no gold label; no explanation
            answer(9, E, "Not scored."),
        ],
    )  # nothing for pair 6


def test_figures_by_hand(examples: list[Example], student: list[Prediction], teacher: ReferenceTeacher) -> None:
    found = agreement(student, examples, teacher)
    one = found.results.agreement["gpt"].model_dump()
    assert one["headline"]
    assert not one["gold_labels"]
    assert "note" not in one
    assert one["rows"] == {
        "answered": 5, "lacking": 1, "without_label": 0, "without_explanation": 1, "not_scored": 1,
    }  # fmt: skip

    def values(bins: dict[str, Any]) -> list[tuple[Any, int]]:
        return [(bins[name]["value"], bins[name]["n"]) for name in ("all", "teacher_right", "teacher_wrong")]

    assert (one["teacher_accuracy"]["value"], one["teacher_accuracy"]["n"]) == (0.5, 4)
    assert values(one["label"]["agreement"]) == [(0.6, 5), (0.5, 2), (0.5, 2)]
    assert values(one["label"]["student_accuracy"]) == [(0.5, 4), (0.5, 2), (0.5, 2)]
    # Five rows, three equal. Student: N 2, C 1, E 2; teacher: N 3, C 1, E 1; by chance (6 + 1 + 2) / 25.
    assert one["label"]["kappa"]["value"] == pytest.approx((0.6 - 0.36) / (1 - 0.36))
    assert one["label"]["kappa"]["n"] == 5
    # ROUGE-L: 1; 3 of 4 words in order; 1; nothing said.
    assert values(one["explanation"]["rougeL"]) == [
        (pytest.approx((1 + 0.75 + 1 + 0) / 4), 4), (pytest.approx(1.75 / 2), 2), (pytest.approx(0.5), 2),
    ]  # fmt: skip
    assert set(one["explanation"]) == {"rougeL"}
    metrics = found.results.metrics
    assert (metrics["student_teacher_label_agreement"].value, metrics["student_teacher_label_agreement"].n) == (0.6, 5)
    assert "student_teacher_agreement" not in metrics  # it is BERTScore, which was left out
    rows = found.rows
    assert [row.teacher_label for row in rows] == [N, N, N, C, E, None]
    assert [row.score("teacher_label_agreement") for row in rows] == [True, False, True, False, True, None]
    assert [row.score("teacher_rougeL") for row in rows] == [1, pytest.approx(0.75), 1, 0, None, None]
    assert "teacher_agreement" not in rows[0]
    assert found.results.settings["teacher"] == {"name": "gpt", "fingerprint": teacher.fingerprint}
    assert len(teacher.fingerprint or "") == 16


def test_the_control_is_the_teachers_explanation_of_another_row_of_its_label(
    examples: list[Example], student: list[Prediction], teacher: ReferenceTeacher
) -> None:
    one = agreement(student, examples, teacher).results.agreement["gpt"].model_dump()
    # The teacher calls pairs 1 to 3 neutral and is alone with pair 4: three rows change explanations in a ring.
    control = one["controls"]["shuffled_within_label"]["rougeL"]
    assert control["n"] == 3
    assert control["student"] == pytest.approx((1 + 0.75 + 1) / 3)
    assert control["value"] < control["student"]
    assert set(one["controls"]) == {"shuffled_within_label", "copied_premise", "copied_hypothesis"}
    assert one["controls"]["copied_premise"]["rougeL"]["n"] == 4
    assert one["fooled"] == {}


def test_a_copying_student_is_reached_by_the_copy(examples: list[Example], teacher: ReferenceTeacher) -> None:
    copies = [answer(k, N, e.fields["hypothesis"]) for k, e in enumerate(examples, start=1)]
    one = agreement(copies, examples, teacher).results.agreement["gpt"].model_dump()
    assert "copied_hypothesis" in one["fooled"]["rougeL"]


def test_a_source_of_the_data_is_a_teacher_that_is_always_right() -> None:
    def said(text: str, source: str, label: str | None = None) -> Explanation:
        return Explanation(text=text, source=source, label=label)

    examples = [
        example(1, N, (said("One reason.", "human"), said("Another one.", "human"), said("Else.", "gpt"))),
        example(2, E, (said("It argues for another label.", "human", C), said("Yes.", "gpt"))),
        example(3, E, (said("Dogs chase.", "human"),)),
    ]
    predictions = [answer(1, N, "Another one."), answer(2, E, "x"), answer(3, C, "Cats.")]
    human = ReferenceTeacher.of_source("human", examples)
    assert human.taught["pair-1"].explanations == ("One reason.", "Another one.")
    one = agreement(predictions, examples, human).results.agreement["human"].model_dump()
    assert one["gold_labels"]
    assert "always right" in one["note"]
    assert one["rows"]["lacking"] == 1
    assert one["label"]["agreement"]["all"]["value"] == 0.5
    assert one["label"]["agreement"]["teacher_wrong"] == {"value": None, "ci95": None, "n": 0}
    assert one["explanation"]["rougeL"]["all"]["value"] == pytest.approx(0.5)  # the nearest of two, and none
    with pytest.raises(DataError, match="'human', 'gpt'"):
        ReferenceTeacher.of_source("humans", examples)


def test_the_first_of_several_teachers_is_the_headlines(
    examples: list[Example], student: list[Prediction], teacher: ReferenceTeacher
) -> None:
    second = ReferenceTeacher.of_predictions("same", student)
    found = agreement(student, examples, second, teacher)
    assert list(found.results.agreement) == ["same", "gpt"]
    assert [one.headline for one in found.results.agreement.values()] == [True, False]
    assert found.results.metrics["student_teacher_label_agreement"].value == 1
    assert found.results.agreement["gpt"].model_dump()["label"]["agreement"]["all"]["value"] == 0.6
    style = found.results.agreement["same"].model_dump()["style"]
    assert style["style_distance"] == 0
    assert style["style_auc"]["value"] == pytest.approx(0.5)
    assert all(one["difference"] == 0 for one in style["features"].values())


def test_without_teachers_nothing_is_added(examples: list[Example], student: list[Prediction]) -> None:
    found = agreement(student, examples)
    assert found.results.agreement == {}
    assert not any("teacher" in name for row in found.rows for name in row.model_fields_set)
    assert "teacher" not in found.results.settings


def test_a_teacher_without_labels_or_without_explanations(examples: list[Example], student: list[Prediction]) -> None:
    silent = ReferenceTeacher.of_predictions("silent", [answer(1, N), answer(2, C)])
    unlabelled = ReferenceTeacher.of_predictions("unlabelled", [answer(1, None, "Running past is not chasing.")])
    found = agreement(student, examples, silent, unlabelled).results.model_dump()["agreement"]
    assert found["silent"]["explanation"] == found["silent"]["style"] == {}
    assert found["silent"]["label"]["agreement"]["all"]["value"] == 1
    assert found["unlabelled"]["label"] == {}
    assert found["unlabelled"]["explanation"]["rougeL"]["all"]["value"] == 1
    assert found["unlabelled"]["explanation"]["rougeL"]["teacher_right"]["n"] == 0
    assert found["unlabelled"]["controls"].keys() == {"copied_premise", "copied_hypothesis"}  # nothing to shuffle with
    assert found["unlabelled"]["style"]["style_auc"] is None


def test_a_task_without_labels_has_explanation_agreement_only() -> None:
    task = Task(name="free", fields=("premise", "hypothesis"), labels=())
    examples = [example(k, None) for k in (1, 2)]
    said = [Prediction(id=e.id, label=None, explanation="It runs.") for e in examples]
    one = (
        agreement(said, examples, ReferenceTeacher.of_predictions("same", said), task=task)
        .results.agreement["same"]
        .model_dump()
    )
    assert one["label"] == {}
    assert one["rows"]["without_label"] == 0
    assert one["explanation"]["rougeL"]["all"] == {"value": 1, "ci95": (1, 1), "n": 2}


def test_choices_of_each_row_have_no_kappa() -> None:
    task = Task(name="choose", fields=("premise", "hypothesis"), labels=None)
    examples = [example(k, f"a{k}").model_copy(update={"choices": (f"a{k}", f"b{k}")}) for k in (1, 2)]
    said = [answer(k, f"a{k}", "It runs.") for k in (1, 2)]
    taught = ReferenceTeacher.of_predictions("gpt", [answer(1, "b1", "It runs."), answer(2, "a2", "It runs.")])
    one = agreement(said, examples, taught, task=task).results.agreement["gpt"].model_dump()
    assert one["label"]["kappa"] is None
    assert one["label"]["agreement"]["teacher_wrong"]["value"] == 0
    assert one["controls"]["shuffled_within_label"]["rougeL"]["n"] == 2  # of any label: no two rows share one


def test_style_is_left_out_where_its_lists_do_not_apply(examples: list[Example]) -> None:
    german = "Der Hund ist nicht bei der Katze, weil er auf der Wiese und im Garten mit dem Ball ist."
    said = [answer(k, N, german) for k in range(1, 7)]
    style = (
        agreement(said, examples, ReferenceTeacher.of_predictions("same", said))
        .results.agreement["same"]
        .model_dump()["style"]
    )
    assert style["languages"] == {"student": "German", "teacher": "German"}
    assert style["left_out"] == ["connectives", "depth", "negations"]
    assert set(style["features"]) == {"words", "new_words", "rarity", "variety", "copying"}
    assert style["connectives"] == {}


def test_a_section_is_written_of_whatever_there_is(examples: list[Example], student: list[Prediction]) -> None:
    german = [answer(k, None, "Der Hund ist nicht bei der Katze, weil er auf der Wiese ist.") for k in (1, 2)]
    teachers = (
        ReferenceTeacher.of_predictions("silent", [answer(1, N)]),
        ReferenceTeacher.of_predictions("one row", [answer(1, None, "Running past is not chasing.")]),
        ReferenceTeacher.of_predictions("<b>Deutsch</b> $x_1$", german),
    )
    blocks = agreement_section(agreement(student, examples, *teachers).results, "1-")
    texts = [block.text for block in blocks if isinstance(block, Paragraph)]
    assert texts[0] == (
        "The teacher silent has answers to 1 of 6 rows; the other 5 are left out; without explanation: 1. "
        "Its label is the gold one for 100.0% of 1 rows."
    )
    assert sum("too little text" in text for text in texts) == 1
    tables = {block.title: block for block in blocks if isinstance(block, Table)}
    assert [row[0].text for row in tables["Agreement with silent"].rows] == ["Label agreement", "Student's accuracy"]
    assert [row[0].text for row in tables["Agreement with one row"].rows] == ["ROUGE-L"]
    assert "What explains nothing, beside silent" not in tables
    drawn = [drawing.name for block in blocks if isinstance(block, Gallery) for drawing in block.drawings]
    assert drawn == ["1-teacher-2-style", "1-teacher-3-style"]  # neither has a connective
    german_note = tables["Style beside <b>Deutsch</b> $x_1$"].note
    assert "English for the student and German for the teacher: connectives, depth and negations" in german_note


# --- what is refused ---


def test_what_a_teacher_can_get_wrong(examples: list[Example], student: list[Prediction]) -> None:
    with pytest.raises(DataError, match=r"teacher 'gpt'.*each id once.*pair-1"):
        ReferenceTeacher.of_predictions("gpt", [answer(1, N), answer(1, E)])
    with pytest.raises(DataError, match=r"teacher 'gpt'.*6 scored rows.*pair-77"):
        agreement(student, examples, ReferenceTeacher.of_predictions("gpt", [answer(77, N, "Else.")]))
    with pytest.raises(DataError, match=r"teacher 'gpt'.*at least one"):
        agreement(student, examples, ReferenceTeacher.of_predictions("gpt", [answer(1, None, "  ")]))
    with pytest.raises(DataError, match=r"teacher 'gpt'.*pair-1 \('perhaps'\)"):
        agreement(student, examples, ReferenceTeacher.of_predictions("gpt", [answer(1, "perhaps")]))
    twice = ReferenceTeacher.of_predictions("gpt", [answer(1, N)])
    with pytest.raises(DataError, match="'gpt' more than once"):
        agreement(student, examples, twice, twice)


# --- through the files ---


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """A student that errs on every fourth row of scenes, and a teacher that errs on every third and lacks some."""
    rows = list(load("scenes:60").examples)
    found = {}
    for name, wrong, kept in (("student", 4, 60), ("teacher", 3, 45)):
        found[name] = tmp_path / f"{name}.jsonl"
        write_records(
            found[name],
            [
                Prediction(
                    id=e.id,
                    label=N if k % wrong == 0 else e.label,
                    explanation=e.references[0 if name == "student" else -1].text,
                )
                for k, e in enumerate(rows[:kept])
            ],
        )
    return found


def test_from_the_command_to_the_report(
    run: Callable[..., tuple[int, str, str]], files: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    base = ("evaluate", files["student"], "scenes:60", "--no-bertscore")
    code, _, said = run(*base, "--teacher", f"llm={files['teacher']}", "--teacher", "scenes", "--out", out)
    assert code == 0, said
    found = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert list(found["agreement"]) == ["llm", "scenes"]
    llm, scenes = found["agreement"].values()
    assert llm["rows"]["lacking"] == 15
    assert scenes["label"]["agreement"]["all"]["value"] == found["metrics"]["label_accuracy"]["value"]
    wrong = llm["label"]["agreement"]["teacher_wrong"]
    assert 0 < wrong["n"] < 45 - llm["label"]["agreement"]["teacher_right"]["n"] + 1
    assert llm["style"]["style_distance"] > 0
    bars = llm["style"]["features"]["words"]["histogram"]
    assert sum(bars["student"]) == pytest.approx(1, abs=1e-4)
    assert len(bars["edges"]) == len(bars["teacher"]) + 1

    report = build_report([out], tmp_path / "report")
    text, page = (path.read_text(encoding="utf-8") for path in (report.markdown, report.html))
    for shown in (
        "## Agreement with teachers",
        "the other 15 are left out",
        f"on the {wrong['n']} rows where it was wrong",
        "always right here",
        "Style beside llm",
        "figures/teacher-2-style.png",
    ):
        assert shown in text.replace("\\", ""), shown
    assert 'id="agreement-with-teachers"' in page
    assert "Same label as the teacher" in page
    assert sorted(p.name for p in report.figures.glob("teacher-*")) == [
        f"teacher-{k}-{what}.png" for k in (1, 2) for what in ("connectives", "style")
    ]


def test_systems_are_compared_on_their_agreement_with_one_teacher_only(
    examples: list[Example], student: list[Prediction], teacher: ReferenceTeacher, tmp_path: Path
) -> None:
    copy = ReferenceTeacher.of_predictions("gpt", student)
    for name, predictions, one in (
        ("a", student, teacher),
        ("b", [*student[:5], answer(6, E)], teacher),
        ("c", student, copy),
    ):
        save(agreement(predictions, examples, one), tmp_path / name)
    few = ComparisonSettings(resamples=50, swaps=50)
    metric = "student_teacher_label_agreement"

    def compared(*names: str) -> Any:
        return compare(load_systems([f"{n}={tmp_path / n}" for n in names]), metrics=[metric], settings=few)

    assert compared("a", "b").pairs[0].metrics[metric].difference == 0
    assert "teacher.fingerprint" in compared("a", "c").pairs[0].left_out[metric]


@pytest.mark.parametrize("from_data", [True, False])
def test_parts_with_other_numbers_of_references_are_not_compared_on_a_teacher_that_wrote_them(
    tmp_path: Path, from_data: bool
) -> None:
    for part, first in (("train", 10), ("test", 20)):
        said = [Explanation(text=f"Reason {k}.", source="human") for k in range(1 if part == "train" else 3)]
        examples = [example(k, N, tuple(said)) for k in range(first, first + 3)]
        predictions = [answer(k, N, "Reason 2.") for k in range(first, first + 3)]
        file = ReferenceTeacher.of_predictions("human", [answer(k, N, "Reason 2.") for k in range(10, 23)])
        found = agreement(predictions, examples, ReferenceTeacher.of_source("human", examples) if from_data else file)
        scores = [row.score("teacher_rougeL") or 0.0 for row in found.rows]
        # No encoder is loaded here.
        rows = [row.with_scores({"teacher_agreement": s}) for row, s in zip(found.rows, scores, strict=True)]
        metric = MetricValue(value=sum(scores) / 3, n=3)
        metrics = {**found.results.metrics, "student_teacher_agreement": metric}
        save(Evaluation(found.results.model_copy(update={"metrics": metrics}), rows), tmp_path / part)
    parts = load_systems([str(tmp_path / part) for part in ("train", "test")])
    gaps = generalisation(*parts, settings=ComparisonSettings(resamples=20))
    assert ("student_teacher_agreement" in gaps.metrics) is not from_data
    assert ("student_teacher_agreement" in gaps.left_out) is from_data
    assert "student_teacher_label_agreement" in gaps.metrics


@pytest.mark.parametrize(
    ("teacher", "named"),
    [
        ("nobody", "'scenes'"),
        ("=file.jsonl", "NAME=FILE"),
        ("llm=", "NAME=FILE"),
        ("llm=absent.jsonl", "absent.jsonl"),
    ],
)
def test_a_mistake_is_named_and_nothing_written(
    run: Callable[..., tuple[int, str, str]], files: dict[str, Path], tmp_path: Path, teacher: str, named: str
) -> None:
    out = tmp_path / "out"
    code, _, said = run(
        "evaluate", files["student"], "scenes:60", "--no-bertscore", "--teacher", teacher, "--out", out
    )  # fmt: skip
    assert code == 2
    assert named in said
    assert not out.exists()


def test_the_headline_is_bertscore(
    examples: list[Example], student: list[Prediction], teacher: ReferenceTeacher
) -> None:
    if reason := why_left_out(None):
        pytest.skip(reason)
    few = EvaluationSettings(resamples=20)
    found = evaluate(student, examples, name="dogs", settings=few, teachers=[teacher])
    metric = found.results.metrics["student_teacher_agreement"]
    scores = [row.score("teacher_agreement") for row in found.rows]
    assert metric.n == 4
    assert metric.value == pytest.approx(sum(s for s in scores if s is not None) / 4)
    assert scores[0] == pytest.approx(1, abs=1e-5)
    assert scores[3] == 0
    assert scores[4:] == [None, None]
    assert found.results.settings["bertscore"]["encoder"]  # though no row has a reference of its own
    one = found.results.agreement["gpt"].model_dump()
    assert one["explanation"]["bertscore_f1"]["all"]["value"] == metric.value
    assert one["controls"]["shuffled_within_label"]["bertscore_f1"]["value"] < metric.value


def test_saved_results_hold_no_infinite_number(
    examples: list[Example], student: list[Prediction], teacher: ReferenceTeacher, tmp_path: Path
) -> None:
    save(agreement(student, examples, teacher), tmp_path / "out")
    json.loads((tmp_path / "out" / "results.json").read_text(), parse_constant=pytest.fail)
