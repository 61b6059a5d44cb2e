"""A student's calibration: fitted on validation rows only, bound to its weights, applied without changing an answer."""

from __future__ import annotations

import json
import logging
import math
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import tiny
from reasondistill.config import Generation, TrainConfig
from reasondistill.contracts.records import Example, Prediction, read_predictions, write_records
from reasondistill.contracts.seals import seal_folder
from reasondistill.data import load
from reasondistill.data.scenes import generate
from reasondistill.errors import CheckpointError, ConfigError, DataError, OutputError
from reasondistill.evaluation import EvaluationSettings, evaluate
from reasondistill.reporting import build_report
from reasondistill.reporting.inputs import load_sources
from reasondistill.runs import Run
from reasondistill.storage.layered_yaml import validate_config
from reasondistill.students.calibration import CALIBRATION_FILE, Calibration, CalibrationData, checkpoint_fingerprint
from reasondistill.students.engines import Generated, answer
from reasondistill.students.engines.answering import label_scores, softmax
from reasondistill.students.engines.engine import Scored
from reasondistill.students.fit_calibration import calibrate, choose_rows, require_validation
from reasondistill.students.model_card import with_calibration
from reasondistill.students.prediction_files import predict_file
from reasondistill.students.student import Student
from reasondistill.tasks.task import NLI, OutputOrder, Target, Task
from reasondistill.training.train import train
from trainings import ON_THE_CPU, TINY

Command = Callable[..., tuple[int, str]]

LABELS = ("entailment", "neutral", "contradiction")
GREEDY = Generation(num_beams=1)
DATA = CalibrationData(name="own", split="validation", fingerprint="abc")
MARGIN = 8.0


def pairs(n: int, wrong: int = 4) -> list[Example]:
    """Pair i has the label i % 3, but every ``wrong``th one the next label."""
    return [
        Example(
            id=f"p{i}",
            fields={"premise": f"This is pair {i}.", "hypothesis": "It is."},
            label=LABELS[(i + (i % wrong == 0)) % 3],
        )
        for i in range(n)
    ]


@dataclass
class Sure:
    """An engine that gives the label i % 3 of pair i the score 0, all others -MARGIN."""

    scored: list[str] = field(default_factory=list)
    wrote: int = 0

    def score(
        self, prompts: Sequence[str], targets: Sequence[Sequence[Target]], of: Scored = "label"
    ) -> list[list[float]]:
        self.scored += prompts
        numbers = [int(re.findall(r"\d+", prompt)[0]) for prompt in prompts]
        return [
            [0.0 if k == i % len(row) else -MARGIN for k in range(len(row))]
            for i, row in zip(numbers, targets, strict=True)
        ]

    def generate(self, prompts: Sequence[str], prefixes: Sequence[str], generation: Generation) -> list[Generated]:
        self.wrote += len(prompts)
        return [Generated("since", False)] * len(prompts)


def fitted(
    examples: list[Example], order: OutputOrder = "label_first", task: Task = NLI, engine: Any = None, **options: Any
) -> Calibration:
    return calibrate(engine or Sure(), task, order, examples, GREEDY, student="s1", data=DATA, **options)


# --- fitting ---


@pytest.mark.parametrize("order", ["label_first", "label_only", "explanation_first", "separate"])
def test_the_fit_worked_by_hand_in_every_order(order: OutputOrder) -> None:
    """Three of four rows are right by one margin d over two labels: 1 / (1 + 2 exp(-d / T)) is 3/4 at d / ln 6."""
    engine = Sure()
    found = fitted(pairs(200), order, engine=engine)
    assert found.temperature == pytest.approx(MARGIN / math.log(6), rel=1e-5)
    assert (found.n, found.labelled, found.accuracy, found.at_bound) == (200, 200, 0.75, None)
    before = 1 / (1 + 2 * math.exp(-MARGIN))
    assert found.ece.before == pytest.approx(before - 0.75)
    assert found.ece.after == pytest.approx(0.0, abs=1e-5)
    assert found.nll.after < found.nll.before
    assert engine.wrote == (200 if order == "explanation_first" else 0), "only labels are scored where that is enough"
    # One level of confidence: it is answered everywhere, or nowhere.
    assert [(row.precision, row.threshold is not None) for row in found.thresholds] == [
        (p, False) for p in (0.8, 0.85, 0.9, 0.95, 0.99)
    ]


def test_wanted_precisions_can_be_added() -> None:
    found = fitted(pairs(200), precisions=(0.65, 0.9))
    assert [row.precision for row in found.thresholds] == [0.65, 0.8, 0.85, 0.9, 0.95, 0.99]
    easy = found.thresholds[0]
    assert easy.threshold == pytest.approx(0.75)
    assert (easy.n, easy.coverage, easy.observed) == (200, 1.0, 0.75)
    assert found.threshold_for(0.65) == easy.threshold
    with pytest.raises(ConfigError, match=r"was reached on the validation rows \(0\.65\), found 0\.95"):
        found.threshold_for(0.95)
    with pytest.raises(ConfigError, match=r"one of 0\.65, found 0\.7\. .*--precision 0\.7"):
        found.threshold_for(0.7)


def test_rows_may_have_choices_of_their_own() -> None:
    prompt = "pair {question} of {choices}"
    task = Task(
        name="t", fields=("question",), labels=None, prompt=prompt, label_prompt=prompt, explanation_prompt=prompt
    )
    names = ("up", "down", "left", "right", "on")
    examples = []
    for i in range(60):
        own = names[: 2 + i % 4]
        # Wrong in every third row: its label is the one after the engine's.
        label = own[(i + (i % 3 == 0)) % len(own)]
        examples.append(Example(id=str(i), fields={"question": str(i)}, choices=own, label=label))
    found = fitted(examples, task=task)
    assert (found.accuracy, found.n) == (40 / 60, 60)
    scores = label_scores(Sure(), task, "label_first", examples, GREEDY)
    assert sorted({len(row) for row in scores}) == [2, 3, 4, 5]
    assert found.nll.after < found.nll.before


def test_all_right_leaves_the_probabilities_alone_and_says_so() -> None:
    found = fitted(pairs(100, wrong=1000)[1:])
    assert (found.temperature, found.at_bound) == (1.0, "lower")
    assert found.remark is not None
    assert "stays 1" in found.remark
    assert fitted(pairs(60, wrong=1)).at_bound == "upper"
    assert fitted(pairs(60)).remark is None


def test_too_many_rows_are_cut_by_the_hash_of_their_ids() -> None:
    examples = pairs(30)
    examples[5] = examples[5].model_copy(update={"label": None})
    chosen, labelled = choose_rows(examples, 10)
    kept = sorted((e for e in examples if e.label), key=lambda e: sha256(e.id.encode()).digest())[:10]
    assert labelled == 29
    assert [e.id for e in chosen] == [e.id for e in examples if e in kept], "in the order of the data"
    assert choose_rows(iter(examples), 99) == ([e for e in examples if e.label], 29)


def test_where_explanations_come_first_fewer_rows_are_taken() -> None:
    engine = Sure()
    assert fitted(pairs(520), "explanation_first", engine=engine).n == engine.wrote == 500
    many = fitted(pairs(2010))
    assert (many.n, many.labelled) == (2000, 2010)


def test_what_cannot_be_calibrated_is_refused() -> None:
    with pytest.raises(DataError, match=r"own, validation: expected at least 50 rows with a label .* found 49\."):
        fitted(pairs(49))
    with pytest.raises(DataError, match="found none"):
        fitted([e.model_copy(update={"label": None}) for e in pairs(100)])
    with pytest.raises(ConfigError, match="found one that writes explanations only"):
        fitted(pairs(100), "explanation_only")
    with pytest.raises(ConfigError, match="found the task 'instructions', which has none"):
        fitted([], task=Task(name="instructions", fields=("instruction",), labels=()))

    class Broken(Sure):
        def score(
            self, prompts: Sequence[str], targets: Sequence[Sequence[Target]], of: Scored = "label"
        ) -> list[list[float]]:
            return [[math.nan] * len(row) for row in targets]

    with pytest.raises(CheckpointError, match="scores that are numbers"):
        fitted(pairs(60), engine=Broken())


@pytest.mark.parametrize("split", ["test", "train", None, "Validation "])
def test_a_part_that_is_not_validation_needs_words(split: str | None) -> None:
    with pytest.raises(DataError, match=r"--split: expected validation.*--as-validation"):
        require_validation(split, confirmed=False)
    require_validation(split, confirmed=True)
    require_validation("validation", confirmed=False)


# --- the file ---


def calibration(**changes: Any) -> Calibration:
    return fitted(pairs(200), precisions=(0.65,)).model_copy(update=changes)


def test_a_calibration_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert Calibration.load(tmp_path) is None
    written = calibration()
    written.save(tmp_path)
    assert Calibration.load(tmp_path, student="s1") == written
    assert written.fingerprint == calibration().fingerprint != calibration(temperature=2.0).fingerprint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"schema_version": 1, "temp', r"expected a JSON object, found '\{\"schema_version\": 1"),
        ("", "found an empty file"),
        ("[]", "expected a JSON object"),
        ('{"schema_version": 2}', "calibration, schema version 1, found version 2"),
        ('{"schema_version": 1, "temperature": 1}', "expected a student's calibration, found student: Field required"),
        ("NaN", "temperature: Input should be a finite number"),
        ("-1.5", "temperature: Input should be greater than or equal to 0.0"),
        ("extra", "more: Extra inputs are not permitted"),
    ],
)
def test_a_broken_calibration_is_named_with_a_way_out(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / CALIBRATION_FILE
    calibration().save(tmp_path)
    value = json.loads(path.read_text(encoding="utf-8"))
    if content in ("NaN", "-1.5"):
        content = json.dumps(value | {"temperature": float(content)})
    elif content == "extra":
        content = json.dumps(value | {"more": 1})
    path.write_text(content, encoding="utf-8")
    with pytest.raises(CheckpointError, match=message) as caught:
        Calibration.load(tmp_path)
    assert CALIBRATION_FILE in str(caught.value)
    assert "--force" in str(caught.value)
    assert "--no-calibration" in str(caught.value)


def test_a_calibration_of_other_weights_is_refused(tmp_path: Path) -> None:
    calibration().save(tmp_path)
    with pytest.raises(
        CheckpointError, match=r"of the student in this folder \(s2\), found that of another student \(s1\)"
    ):
        Calibration.load(tmp_path, student="s2")


def test_the_card_says_it_once() -> None:
    card = "# x\n\n## Training\n\nt\n\n## Limits\n\nl\n"
    once = with_calibration(card, calibration())
    assert once.index("## Training") < once.index("## Calibration") < once.index("## Limits")
    assert "| 0.65 | 0.750 | 1.000 |" in once
    assert once.endswith("## Limits\n\nl\n")
    assert with_calibration(once, calibration()) == once
    other = with_calibration(once, calibration(temperature=9.0))
    assert "temperature 9.000" in other
    assert other.count("## Calibration") == 1
    assert with_calibration("# x\n", calibration()).startswith("# x\n\n## Calibration\n\n")


# --- predicting ---


def student(**changes: Any) -> Student:
    return replace(Student(Sure(), NLI, "label_first", GREEDY, fingerprint="s1"), **changes)


def test_probabilities_are_those_of_the_divided_scores_and_labels_stay() -> None:
    raw = student().predict(pairs(6))
    told = student(calibration=calibration(temperature=4.0)).predict(pairs(6))
    assert [p.label for p in told] == [p.label for p in raw]
    assert list(told[0].probabilities.values()) == softmax([0.0, -2.0, -2.0])
    assert list(raw[0].probabilities.values()) == softmax([0.0, -MARGIN, -MARGIN])
    assert student(calibration=calibration(temperature=1.0)).predict(pairs(6)) == raw


@pytest.mark.parametrize("temperature", [1.0, 3.0, 20.0])
def test_the_label_is_that_of_the_scores_also_where_probabilities_are_equal(temperature: float) -> None:
    class Close(Sure):
        def score(
            self, prompts: Sequence[str], targets: Sequence[Sequence[Target]], of: Scored = "label"
        ) -> list[list[float]]:
            return [[-1e-17, 0.0, -1e-17] for _ in prompts]

    (found,) = answer(Close(), NLI, "label_only", pairs(1), GREEDY, temperature=temperature)
    assert found.label == "neutral"
    assert list(found.probabilities.values()) == [1 / 3] * 3


def test_rows_to_abstain_from_are_marked_and_keep_their_label(tmp_path: Path) -> None:
    told = calibration()
    threshold = told.threshold_for(0.65)
    sure, unsure = (student(calibration=told.model_copy(update={"temperature": t})) for t in (1.0, 9.0))
    assert "abstained" not in (sure.predict(pairs(1))[0].model_extra or {})
    for one, abstained in ((sure, False), (unsure, True)):
        (found,) = one.predict(pairs(1), precision=0.65)
        assert (found.model_extra or {})["abstained"] is abstained
        assert found.label == "entailment"
        assert (max(found.probabilities.values()) < threshold) is abstained
    out = predict_file(unsure, pairs(3), tmp_path / "test.jsonl", facts={}, precision=0.65)
    assert [json.loads(line)["abstained"] for line in out.read_text(encoding="utf-8").splitlines()] == [True] * 3
    assert json.loads((tmp_path / "test.meta.json").read_text(encoding="utf-8"))["precision"] == 0.65


def test_without_a_threshold_nothing_is_written(tmp_path: Path) -> None:
    for one, message in ((student(), "a calibrated student"), (student(calibration=calibration()), "one of 0.65")):
        with pytest.raises(ConfigError, match=message):
            predict_file(one, pairs(3), tmp_path / "test.jsonl", facts={}, precision=0.66)
    assert list(tmp_path.iterdir()) == []


def test_predictions_of_another_calibration_are_not_mixed_with(tmp_path: Path) -> None:
    out = tmp_path / "test.jsonl"
    predict_file(student(), pairs(3), out, facts={})
    meta = tmp_path / "test.meta.json"
    older = {k: v for k, v in json.loads(meta.read_text()).items() if k not in ("calibration", "precision")}
    meta.write_text(json.dumps(older), encoding="utf-8")  # as before there were calibrations
    predict_file(student(), pairs(3), out, facts={})
    with pytest.raises(OutputError, match="differ in calibration "):
        predict_file(student(calibration=calibration()), pairs(3), out, facts={})


# --- training ---


def config(folder: Path, name: str, source: str = "scenes:700@0", **changes: Any) -> TrainConfig:
    values: dict[str, Any] = {
        "name": name,
        "runs_dir": str(folder / "runs"),
        "max_source_length": 48,
        "max_target_length": 24,
        "data": {
            "train": {"source": source, "split": "train", "limit": 40},
            "validation": {"source": source, "split": "validation"},
        },
        "student": TINY,
        "training": {
            "max_steps": 4,
            "per_device_train_batch_size": 8,
            "learning_rate": 3e-3,
            "save_strategy": "no",
            "eval_strategy": "no",
            **ON_THE_CPU,
        },
        "generation": {"num_beams": 1, "max_new_tokens": 4},
    }
    return validate_config(TrainConfig, values | changes, where="test")


def own_file(path: Path, **test_rows: Any) -> Path:
    """Scenes with parts of their own: 40 to train on, 60 to validate, 20 to test, the last ones changed."""
    parts = ["train"] * 40 + ["validation"] * 60 + ["test"] * 20
    examples = [e.model_copy(update={"split": s, "group": None}) for e, s in zip(generate(120), parts, strict=True)]
    changed = [e.model_copy(update=test_rows) if e.split == "test" else e for e in examples]
    write_records(path, changed)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(config(tmp_path_factory.mktemp("trained"), "run"))


def test_a_trained_student_is_calibrated_on_its_validation_part(trained: Run) -> None:
    validation = load("scenes:700@0", split="validation")
    written = Calibration.load(trained.student, student=checkpoint_fingerprint(trained.student))
    assert written is not None
    assert written.n == written.labelled == len(validation.examples) >= 50
    assert written.data == CalibrationData(name=validation.name, split="validation", fingerprint=validation.fingerprint)
    assert written.nll.after <= written.nll.before
    assert f"temperature {written.temperature:.3f}" in (trained.student / "README.md").read_text(encoding="utf-8")
    assert trained.info().status == "finished"


def test_the_stored_temperature_is_applied(trained: Run) -> None:
    loaded, raw = Student.load(trained.folder), Student.load(trained.folder, calibrated=False)
    assert loaded.fingerprint == raw.fingerprint
    assert loaded.calibration is not None
    assert raw.calibration is None
    temperature = loaded.calibration.temperature
    assert temperature != 1.0
    examples = load("scenes:700@0", split="validation").examples[:10]
    scores = label_scores(raw.engine, raw.task, raw.order, examples, raw.generation)
    for one, row in zip(loaded.predict(examples), scores, strict=True):
        assert list(one.probabilities.values()) == softmax(row, temperature)
    for one, row in zip(raw.predict(examples), scores, strict=True):
        assert list(one.probabilities.values()) == softmax(row)


def test_two_trainings_end_with_the_same_calibration(trained: Run, tmp_path: Path) -> None:
    again = train(config(tmp_path, "run"))
    assert (again.student / CALIBRATION_FILE).read_bytes() == (trained.student / CALIBRATION_FILE).read_bytes()


def test_test_rows_change_nothing(tmp_path: Path) -> None:
    plain = own_file(tmp_path / "plain" / "data.jsonl")
    other = own_file(tmp_path / "other" / "data.jsonl", label="neutral", fields={"premise": "x", "hypothesis": "y"})
    assert plain.read_bytes() != other.read_bytes()
    runs = [train(config(tmp_path, path.parent.name, str(path))) for path in (plain, other)]
    first, second = ((run.student / CALIBRATION_FILE).read_bytes() for run in runs)
    assert first == second
    assert json.loads(first)["n"] == 60


def test_training_scores_validation_rows_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from reasondistill.students.engines.pytorch import TorchEngine

    asked: list[str] = []
    score = TorchEngine.score

    def watched(self: Any, prompts: Sequence[str], targets: Any) -> Any:
        asked.extend(prompts)
        return score(self, prompts, targets)

    monkeypatch.setattr(TorchEngine, "score", watched)
    train(config(tmp_path, "run", str(own_file(tmp_path / "data.jsonl"))))
    held_out = load(tmp_path / "data.jsonl", split="validation").examples
    assert sorted(asked) == sorted(NLI.render_prompts("label_first", e)["label"] for e in held_out)


@pytest.mark.parametrize("order", ["explanation_only", "label_first"])
def test_where_there_is_nothing_to_fit_the_student_stays_as_it_is(
    tmp_path: Path, order: str, caplog: pytest.LogCaptureFixture
) -> None:
    changes: dict[str, Any] = {"order": order}
    if order == "label_first":
        changes["data"] = {
            "train": {"source": "scenes:700@0", "split": "train", "limit": 40},
            "validation": {"source": "scenes:700@0", "split": "validation", "limit": 49},
        }
    with caplog.at_level(logging.WARNING):
        run = train(config(tmp_path, "run", **changes))
    assert not (run.student / CALIBRATION_FILE).exists()
    assert "## Calibration" not in (run.student / "README.md").read_text(encoding="utf-8")
    assert Student.load(run.folder).calibration is None
    assert ("the validation part has 49." in caplog.text) == (order == "label_first")


@pytest.mark.parametrize("order", ["explanation_first", "separate", "label_only"])
def test_other_orders_are_calibrated_at_the_end_of_training(tmp_path: Path, order: OutputOrder) -> None:
    run = train(config(tmp_path, "run", order=order))
    found = Student.load(run.folder).calibration
    assert found is not None
    assert found.n >= 50


# --- the command line ---


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A student's folder without a calibration."""
    tiny.student().save(tmp_path / "student")
    return tmp_path / "student"


def test_the_command_fits_shows_and_is_not_repeated_by_accident(bare: Path, command: Command) -> None:
    identity = checkpoint_fingerprint(bare)
    code, said = command("calibrate", bare, "scenes:700@0", "--split", "validation")
    assert code == 0, said
    assert "temperature" in said
    assert "target precision" in said
    assert checkpoint_fingerprint(bare) == identity, "the student is still the same one"
    before = (bare / CALIBRATION_FILE).read_bytes()
    code, said = command("calibrate", bare, "scenes:700@0", "--split", "validation")
    assert code == 2
    assert "--force" in said
    again = ("calibrate", bare, "scenes:700@0", "--split", "validation", "--force", "--precision", "0.35")
    assert command(*again)[0] == 0
    assert (bare / CALIBRATION_FILE).read_bytes() != before
    code, said = command("explain", bare, "premise=A man sleeps.", "hypothesis=He is awake.")
    assert code == 0
    assert f"calibrated on {load('scenes:700@0').name}, validation" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("scenes:700@0", "--split", "test"), "--split: expected validation"),
        (("scenes:700@0",), "found none, which is all of DATA"),
        (("scenes:300", "--split", "validation"), "at least 50 rows with a label"),
        (("scenes:700@0", "--split", "validation", "--precision", "95"), "numbers between 0 and 1"),
    ],
)
def test_the_command_refuses(bare: Path, command: Command, arguments: tuple[str, ...], message: str) -> None:
    code, said = command("calibrate", bare, *arguments)
    assert code == 2
    assert message in said
    assert not (bare / CALIBRATION_FILE).exists()


def test_the_shipped_student_is_left_alone(command: Command) -> None:
    code, said = command("calibrate", "builtin:scenes", "scenes:700@0", "--split", "validation")
    assert code == 2
    assert "Copy its folder" in said
    assert Student.load("builtin:scenes").calibration is None


def test_a_calibration_that_was_moved_beside_other_weights(trained: Run, bare: Path, command: Command) -> None:
    shutil.copy(trained.student / CALIBRATION_FILE, bare / CALIBRATION_FILE)
    out = bare.parent / "out.jsonl"
    asked = ("predict", bare, "scenes:60", "--limit", 4, "--out", out)
    code, said = command(*asked)
    assert code == 2
    assert f"{CALIBRATION_FILE} was added" in said
    seal_folder(bare)
    code, said = command(*asked)
    assert code == 2
    assert "that of another student" in said
    assert not out.exists()
    assert command(*asked, "--no-calibration")[0] == 0
    assert len(list(read_predictions(out))) == 4


# --- evaluating and reporting ---


def scored(predictions: list[Prediction], examples: list[Example]) -> Any:
    quick = EvaluationSettings(bertscore=False, resamples=50)
    return evaluate(predictions, examples, name="own", settings=quick).results


def test_results_hold_the_curve_and_what_was_abstained_from() -> None:
    examples = pairs(8)
    told = student(calibration=calibration()).predict(examples)
    results = scored(told, examples)
    assert results.metrics["aurc"].value == pytest.approx(0.25)  # all are equally sure
    assert [point.coverage for point in results.calibration.coverage] == [1.0] * 20
    assert results.calibration.coverage[-1].accuracy == 0.75
    assert "coverage" not in results.metrics
    marked = [Prediction.model_validate(p.model_dump() | {"abstained": i % 4 == 0}) for i, p in enumerate(told)]
    results = scored(marked, examples)
    assert results.metrics["coverage"].value == 0.75
    assert results.metrics["selective_accuracy"].value == 1.0
    assert (results.metrics["selective_accuracy"].n, results.metrics["coverage"].n) == (6, 8)
    assert results.metrics["label_accuracy"].value == 0.75, "labels that were abstained from still count here"


@pytest.mark.parametrize("said", ["yes", None])
def test_abstained_is_a_truth_value_in_every_row_or_in_none(said: Any) -> None:
    told = [Prediction.model_validate(p.model_dump() | {"abstained": True}) for p in student().predict(pairs(4))]
    told[2] = Prediction.model_validate(told[2].model_dump() | {"abstained": said})
    with pytest.raises(
        DataError, match=r"abstained: true or false in every row.*found something else in 1, such as p2"
    ):
        scored(told, pairs(4))


def test_all_abstained_has_no_accuracy() -> None:
    told = [Prediction.model_validate(p.model_dump() | {"abstained": True}) for p in student().predict(pairs(4))]
    metrics = scored(told, pairs(4)).metrics
    assert metrics["coverage"].value == 0.0
    assert "selective_accuracy" not in metrics


def test_a_report_shows_the_curve_and_the_calibration(trained: Run, tmp_path: Path) -> None:
    examples = list(load("scenes:700@0", split="test").examples[:30])
    predictions = Student.load(trained.folder).predict(examples)
    run = Run(tmp_path / "run")
    shutil.copytree(trained.folder, run.folder)
    evaluate(predictions, examples, name="scenes", split="test", settings=EvaluationSettings(bertscore=False)).save(
        run.results("test")
    )
    files = build_report([run.folder], run.folder)
    assert (files.figures / "coverage.png").is_file()
    told = Calibration.load(run.student)
    assert told is not None
    for text in (files.markdown.read_text(encoding="utf-8"), files.html.read_text(encoding="utf-8")):
        assert "Accuracy at coverage" in text
        assert f"temperature is {told.temperature:.3f}" in text
        assert f"{told.ece.before:.3f}" in text
        assert "When to abstain" in text


def test_a_report_does_not_show_another_student_s_calibration(trained: Run, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    shutil.copytree(trained.folder, run.folder)
    path = run.student / "task.json"
    path.write_text(path.read_text(encoding="utf-8").replace("predict nli", "foretell nli"), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"task\.json has"):
        load_sources([run.folder])
    seal_folder(run.student)
    with pytest.raises(CheckpointError, match="that of another student"):
        load_sources([run.folder])
    for name in ("task.json", "model.safetensors", "seal.json"):  # a run that is kept without its student
        (run.student / name).unlink()
    assert load_sources([run.folder])[0].calibration == Calibration.load(trained.student)
