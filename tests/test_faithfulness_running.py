"""All tests of one student: what evaluate, compare and report make of them, and what a user can get wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from known_students import Honest, OtherLabel
from reasondistill.comparison import compare
from reasondistill.comparison.systems import load_system
from reasondistill.contracts.faithfulness import FaithfulnessDetails
from reasondistill.contracts.predictions_record import PredictionsRecord
from reasondistill.contracts.records import Example, as_row
from reasondistill.contracts.results import Results
from reasondistill.contracts.scored_rows import read_scored_rows
from reasondistill.data.scenes import generate
from reasondistill.data.splits import split_of
from reasondistill.errors import DataError
from reasondistill.evaluation import Evaluation, EvaluationSettings, evaluate
from reasondistill.evaluation.faithfulness.registered_tests import faithfulness_tests
from reasondistill.evaluation.faithfulness.simulatability import Simulatability
from reasondistill.evaluation.faithfulness.suite import FaithfulnessSettings, SuiteOutcome, measure_faithfulness
from reasondistill.judges import Judge
from reasondistill.reporting import build_report
from reasondistill.reporting.document import Facts, Fold, Gallery, Table, unfolded
from reasondistill.reporting.sections.faithfulness import trust_section
from reasondistill.students.prediction_files import maker_of
from reasondistill.students.student import Student

Command = Callable[..., tuple[int, str]]

EXAMPLES = [e for e in generate(450) if split_of(e.group or "") == "test"][:66]
LIMITED = dict(FaithfulnessSettings().limited(24).tests)
SETTINGS = FaithfulnessSettings(**LIMITED | {"simulatability": Simulatability(examples=66, encoder=False)})
TESTS = {test.name: test for test in faithfulness_tests()}


def measured(subject: Any, examples: list[Example] = EXAMPLES, **more: Any) -> SuiteOutcome:
    return measure_faithfulness(subject, examples, settings=SETTINGS, resamples=100, **more)


def evaluated(subject: Any, out: Path | None = None, **more: Any) -> Evaluation:
    plain = EvaluationSettings(bertscore=False, resamples=100)
    evaluation = evaluate(subject.predict(EXAMPLES), EXAMPLES, name="scenes", split="test", settings=plain)
    evaluation = evaluation.with_faithfulness(measured(subject, **more))
    if out is not None:
        evaluation.save(out)
    return evaluation


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("honest") / "results"
    evaluated(Honest(), out, judge=Judge.load("builtin:scenes"))
    return out


def test_every_test_has_its_settings_details_and_words() -> None:
    assert list(FaithfulnessSettings().tests) == list(TESTS)
    limits = ("Does not prove", "ecessary", "not causes")
    assert all(any(words in test.meaning for words in limits) for test in TESTS.values())
    assert {test.examples for test in FaithfulnessSettings().limited(24).tests.values()} == {24}
    assert FaithfulnessSettings().limited(10**6) == FaithfulnessSettings()


def test_all_of_it_is_in_the_results(honest: Path) -> None:
    results, rows = Results.load(honest / "results.json"), read_scored_rows(honest / "per_example.jsonl")
    assert set(results.faithfulness) == set(TESTS)
    applied = {name: t for name, t in results.faithfulness.items() if not t.left_out}
    assert {"label_consistency", "simulatability", "label_conditioned", "robustness", "importance"} <= set(applied)
    for name, test in applied.items():
        most = 66 if name == "simulatability" else 24
        assert test.metrics
        assert set(test.metrics) <= set(results.metrics) & set(TESTS[name].metrics), name
        assert test.examples is not None
        assert 0 < test.examples <= most, name
        assert results.settings["faithfulness"][name]["examples"] == most
    assert results.metrics["faithfulness"].value > 0.95
    assert results.metrics["faithfulness"].n == sum(row.score("faithfulness") is not None for row in rows) <= 24
    assert all(row.model_fields_set == rows[0].model_fields_set for row in rows)
    tested = [s for row in rows if (s := row.score("importance_agreement")) is not None]
    assert results.metrics["importance_agreement"].value == pytest.approx(sum(tested) / len(tested))


def test_the_same_twice() -> None:
    assert measured(Honest()) == measured(Honest())


def test_without_a_judge_the_others_go_on() -> None:
    found = measured(OtherLabel())
    assert "--judge" in found.tests["label_consistency"].left_out
    assert "faithfulness" not in found.metrics
    assert "robustness_agreement" in found.metrics
    assert "conditioned_faithfulness" not in found.metrics
    assert "label_sensitivity" in found.metrics


def test_a_student_that_cannot_be_tested_is_told_why() -> None:
    class LabelOnly(Honest):
        order = "label_only"

        def explain(self, example: Example, label: str) -> str:
            return ""

    found = measured(LabelOnly())
    left_out = {name: t.left_out for name, t in found.tests.items() if t.left_out}
    assert {"label_conditioned", "robustness", "importance", "insertion"} <= set(left_out)
    assert "explains no example" in left_out["importance"]
    assert found.metrics["simulatability"].value <= 0.2


def test_a_judge_that_saw_the_examples_is_refused() -> None:
    judge = Judge.load("builtin:scenes")
    seen = [e for e in generate(200, seed=7) if split_of(e.group or "") == "train"]
    with pytest.raises(DataError, match="not trained on"):
        measured(Honest(), seen, judge=judge)


def test_systems_are_compared_on_what_their_rows_say(tmp_path: Path, honest: Path) -> None:
    evaluated(OtherLabel(), tmp_path / "other", judge=Judge.load("builtin:scenes"))
    [pair] = compare([load_system(honest, "honest"), load_system(tmp_path / "other", "other")]).pairs
    assert {"faithfulness", "simulatability", "importance_agreement", "label_stability"} <= set(pair.metrics)
    assert pair.metrics["faithfulness"].difference < -0.9
    assert pair.metrics["importance_agreement"].difference < 0
    assert pair.metrics["importance_agreement"].n <= 24
    assert "ranks all rows" in pair.left_out["robustness_agreement"]


def test_other_settings_are_not_compared(tmp_path: Path, honest: Path) -> None:
    evaluation = evaluated(OtherLabel())
    evaluation.results.settings["faithfulness"]["robustness"]["seed"] = 5
    evaluation.save(tmp_path / "other")
    [pair] = compare([load_system(honest, "honest"), load_system(tmp_path / "other", "other")]).pairs
    assert "different settings" in pair.left_out["label_stability"]
    assert "importance_agreement" in pair.metrics


def test_the_report_tells_what_each_test_proves(tmp_path: Path, honest: Path) -> None:
    section = trust_section(Results.load(honest / "results.json"), "x-")
    folds = {block.title: block for block in section if isinstance(block, Fold)}
    assert {TESTS[n].title for n in ("label_consistency", "simulatability", "importance")} <= set(folds)
    blocks = [*unfolded(section)]
    tables = {block.title: block for block in blocks if isinstance(block, Table)}
    shown = next(b for b in folds[TESTS["label_consistency"].title].blocks if isinstance(b, Table))
    assert [cell.text for cell in shown.rows[0]][:2] == ["Faithfulness (argues for the given label)", "1.000"]
    assert any(row[0].text.startswith("Control: ") for row in shown.rows)
    [bins] = [t for t in tables.values() if "bins of LAS" in t.title]
    assert [row[0].text for row in bins.rows] == ["All", "Leaking", "Not leaking"]
    [drawing] = [d for block in blocks if isinstance(block, Gallery) for d in block.drawings]
    assert "label kept" in drawing.svg
    quoted = [block for block in blocks if isinstance(block, Facts) and block.title.startswith("Made to argue")]
    assert len(quoted) == 5
    assert {name.removesuffix(", as given") for name, _ in quoted[0].items} == {
        "entailment",
        "neutral",
        "contradiction",
    }
    files = build_report([honest], tmp_path / "report")
    assert "Do the same words matter for both?" in files.markdown.read_text(encoding="utf-8")
    assert "Do the same words matter for both?" in files.html.read_text(encoding="utf-8")


def test_no_section_without_tests(honest: Path) -> None:
    results = Results.load(honest / "results.json").model_copy(update={"faithfulness": {}})
    assert trust_section(results, "") == []
    nothing = results.model_copy(update={"faithfulness": {"robustness": FaithfulnessDetails(left_out="why <b>")}})
    assert trust_section(nothing, "")[-1] == Facts(
        "Tests that were not done", (("Do label and explanation break together?", "why <b>"),), folded=True
    )


# --- the command ---


DATA = ("scenes:400@5", "--split", "test", "--limit", "60")


def test_evaluate_with_a_student(tmp_path: Path, command: Command) -> None:
    predictions, out = tmp_path / "p.jsonl", tmp_path / "out"
    assert command("predict", "builtin:scenes", *DATA, "--out", predictions)[0] == 0
    asked = ("evaluate", predictions, *DATA, "--no-bertscore", "--out", out)
    code, said = command(
        *asked,
        "--judge",
        "builtin:scenes",
        "--student",
        "builtin:scenes",
        "--faithfulness-limit",
        9,
        "--no-efficiency",
    )
    assert code == 0, said
    results = Results.load(out / "results.json")
    assert results.efficiency is None
    assert results.metrics["faithfulness"].n <= 9
    assert results.metrics["label_accuracy"].n == 60
    assert {"robustness_agreement", "importance_agreement", "label_sensitivity"} <= set(results.metrics)
    assert "groups" in results.faithfulness["simulatability"].left_out  # nine examples are too few
    json.loads((out / "results.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)  # no NaN, no Infinity
    code, said = command(*asked[:-1], tmp_path / "x", "--student", "builtin:scenes", "--task", "comve")
    assert (code, "one of 'nli'" in said) == (2, True), said
    (tmp_path / "p.meta.json").write_text(
        json.dumps({**json.loads((tmp_path / "p.meta.json").read_text()), "student": "another"}), encoding="utf-8"
    )
    again = (*asked[:-1], tmp_path / "again", "--student", "builtin:scenes")
    code, said = command(*again)
    assert (code, "the student another" in said) == (2, True), said
    (tmp_path / "p.meta.json").unlink()
    code, said = command(*again)
    assert (code, "p.meta.json" in said) == (2, True), said
    assert not (tmp_path / "again").exists()


def test_evaluate_with_a_student_measures_its_costs(tmp_path: Path, command: Command) -> None:
    few = ("scenes:400@5", "--split", "test", "--limit", "6")
    predictions, out = tmp_path / "p.jsonl", tmp_path / "out"
    asked = ("predict", "builtin:scenes", *few, "--num-beams", 2, "--out", predictions)
    assert command(*asked)[0] == 0
    scored = ("evaluate", predictions, *few, "--no-bertscore", "--student", "builtin:scenes", "--faithfulness-limit", 3)
    code, said = command(*scored, "--out", out)
    assert code == 0, said
    found = Results.load(out / "results.json").efficiency
    assert found is not None
    assert found.measured.num_beams == 2  # as the predictions were made
    assert found.measured.student == Student.load("builtin:scenes").fingerprint
    assert found.flops_per_example is not None
    assert found.flops_per_example.examples == 6


def test_the_maker_writes_as_was_recorded(tmp_path: Path) -> None:
    student = Student.load("builtin:scenes")
    generation = student.generation.model_dump() | {"num_beams": 2}
    record = PredictionsRecord(student=student.fingerprint, task="", generation=generation)
    record.save(tmp_path / "p.meta.json")
    maker = maker_of(tmp_path / "p.jsonl", "builtin:scenes")
    assert maker.generation.num_beams == 2 != student.generation.num_beams
    record.model_copy(update={"calibration": "0" * 16}).save(tmp_path / "p.meta.json")
    with pytest.raises(DataError, match="another calibration"):
        maker_of(tmp_path / "p.jsonl", "builtin:scenes")


def test_mistakes_of_evaluate_with_a_student(tmp_path: Path, command: Command) -> None:
    predictions = tmp_path / "p.jsonl"
    predictions.write_text("".join(json.dumps(as_row(p)) + "\n" for p in Honest().predict(EXAMPLES)), encoding="utf-8")
    asked = ("evaluate", predictions, "scenes:450", "--split", "test", "--limit", 66, "--out", tmp_path / "out")
    code, said = command(*asked, "--faithfulness-limit", 9)
    assert (code, "--student" in said) == (2, True), said
    code, said = command(*asked, "--student", tmp_path)
    assert code == 2, said
    student = Student.load("builtin:scenes")
    record = PredictionsRecord(student=student.fingerprint, task="", generation=student.generation.model_dump())
    record.save(tmp_path / "p.meta.json")
    predictions.write_text("\n".join(predictions.read_text(encoding="utf-8").splitlines()[:2]), encoding="utf-8")
    code, said = command(*asked, "--student", "builtin:scenes")
    assert (code, "expected one for each of the" in said, "latency" in said) == (2, True, False), said
    assert not (tmp_path / "out").exists()
