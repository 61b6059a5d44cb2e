"""From a student to a package: what is in it, when there is none, and that it runs where PyTorch is not installed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tiny
from reasondistill.config import Generation
from reasondistill.contracts.records import Prediction, read_predictions
from reasondistill.data import load
from reasondistill.errors import CheckpointError, ConfigError, DataError, OutputError, ParityError
from reasondistill.exporting import Exported, Sample, export, limits_for, load_sample
from reasondistill.exporting.packaging import _advice
from reasondistill.exporting.parity import compare
from reasondistill.students import package as packages
from reasondistill.students.calibration import Calibration, checkpoint_fingerprint
from reasondistill.students.fit_calibration import calibrate
from reasondistill.students.package.manifest import ParityData, ParityLimits
from reasondistill.students.student import Student
from reasondistill.tasks.task import Task

Command = Callable[..., tuple[int, str]]

ctranslate2 = pytest.importorskip("ctranslate2")

BUILTIN = "builtin:scenes"
ANY = ParityLimits(label_agreement=0, probability_difference=1, greedy_identity=0, explanation_rougeL=0)
FIELDS = ("premise=A man is sleeping on a beach.", "hypothesis=A man is awake.")


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student with random weights and a calibration of its own."""
    folder = tmp_path_factory.mktemp("student") / "student"
    tiny.student("t5").save(folder)
    native = Student.load(folder)
    rows = load("scenes:60")
    found = calibrate(
        native.engine,
        native.task,
        native.order,
        rows.examples,
        native.generation,
        student=native.fingerprint,
        data={"name": rows.name, "split": None, "fingerprint": rows.fingerprint},  # type: ignore[arg-type]
    )
    found.save(folder)
    return folder


@pytest.fixture(scope="module")
def exported(calibrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    out = tmp_path_factory.mktemp("out") / "package"
    return export(calibrated, out, quantization="float32", sample=load_sample(calibrated, limit=12))


def test_a_package_holds_the_student_its_task_and_its_calibration(calibrated: Path, exported: Exported) -> None:
    assert sorted(p.name for p in exported.folder.iterdir()) == [
        "README.md",
        "calibration.json",
        "config.json",
        "model.bin",
        "package.json",
        "shared_vocabulary.json",
        "task.json",
        "tokenizer.json",
    ]
    assert (exported.folder / "calibration.json").read_bytes() == (calibrated / "calibration.json").read_bytes()
    manifest = exported.manifest
    assert packages.Manifest.load(exported.folder) == manifest
    assert manifest.student.fingerprint == checkpoint_fingerprint(calibrated)
    assert manifest.student.family == "t5"
    assert manifest.versions["ctranslate2"] == ctranslate2.__version__
    assert exported.bytes == sum((exported.folder / name).stat().st_size for name in manifest.files)
    loaded = Student.load(exported.folder)
    assert loaded.calibration == Calibration.load(calibrated)
    assert Student.load(exported.folder, calibrated=False).calibration is None


def test_the_parity_of_the_same_weights_is_whole_and_written_down(exported: Exported) -> None:
    parity = exported.manifest.parity
    assert (parity.n, parity.data.name) == (12, "scenes:12@0")
    assert (parity.label_agreement, parity.explanation_identity, parity.explanation_rougeL) == (1.0, 1.0, 1.0)
    assert parity.greedy_identity == 1.0
    assert parity.probability_difference is not None
    assert 0 <= parity.probability_difference < 1e-5
    assert parity.limits == limits_for("float32")
    card = (exported.folder / "README.md").read_text(encoding="utf-8")
    assert "| label_agreement | 1 | 1.0 |" in card
    assert "On 12 rows of scenes:12@0 (fingerprint" in card
    assert 'explain path/to/this/folder premise="…" hypothesis="…"' in card


def test_it_predicts_as_the_student_with_its_calibration(calibrated: Path, exported: Exported) -> None:
    rows = load("scenes:9@7").examples
    for a, b in zip(Student.load(calibrated).predict(rows), Student.load(exported.folder).predict(rows), strict=True):
        assert (a.id, a.label, a.explanation, a.truncated) == (b.id, b.label, b.explanation, b.truncated)
        assert a.probabilities == pytest.approx(b.probabilities, abs=1e-5)


@pytest.mark.parametrize("order", ["explanation_first", "label_only", "explanation_only", "separate"])
def test_every_output_order_can_be_exported(order: str, tmp_path: Path) -> None:
    tiny.student("t5", order).save(tmp_path / "student")  # type: ignore[arg-type]
    parity = export(
        tmp_path / "student",
        tmp_path / "package",
        quantization="float32",
        sample=load_sample(tmp_path / "student", limit=3),
    ).manifest.parity
    assert (parity.label_agreement is None) == (order == "explanation_only")
    assert (parity.probability_difference is None) == (order == "explanation_only")
    assert (parity.greedy_identity is None) == (order == "label_only")
    assert (parity.explanation_rougeL is None) == (order == "label_only")


# --- parity, worked by hand ---


class Told:
    """A student that says what it is told to."""

    order = "label_first"
    generation = Generation(num_beams=4)

    def __init__(self, rows: list[tuple[str, float, str]], greedy: list[str]) -> None:
        self.rows, self.greedy = rows, greedy

    def predict(self, examples: Any) -> list[Prediction]:
        return [
            Prediction(id=e.id, label=label, probabilities={"yes": p, "no": 1 - p}, explanation=text)
            for e, (label, p, text) in zip(examples, self.rows, strict=True)
        ]


def test_parity_worked_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    from reasondistill.exporting import parity as module

    asked: list[tuple[int, list[str]]] = []

    def replaced(one: Told, generation: Generation) -> Any:
        class Greedy(Told):
            def explain_for(self, examples: Any, labels: list[str]) -> list[str]:
                asked.append((generation.num_beams, labels))
                return one.greedy

        return Greedy(one.rows, one.greedy)

    monkeypatch.setattr(module, "replace", replaced)
    student = Told([("yes", 0.9, "a b c d"), ("no", 0.2, ""), ("yes", 0.6, "x")], ["p", "q", "r"])
    package = Told([("yes", 0.8, "a b"), ("no", 0.25, ""), ("no", 0.45, "y")], ["p", "q", "s"])
    sample = Sample(load("scenes:3").examples, ParityData(name="own", split="test", fingerprint="f"))
    limits = ParityLimits(
        label_agreement=0.7,
        probability_difference=0.1,
        probability_difference_p95=0.14,
        greedy_identity=0.6,
        explanation_rougeL=0.6,
    )
    found = compare(student, package, sample, limits)  # type: ignore[arg-type]
    assert found.label_agreement == pytest.approx(2 / 3)
    assert found.probability_difference == pytest.approx(0.15)
    # Of 0.05, 0.1 and 0.15, nine tenths of the way from the second to the third.
    assert found.probability_difference_p95 == pytest.approx(0.145)
    assert found.explanation_identity == pytest.approx(1 / 3)
    # ROUGE-L of "a b c d" and "a b": 2/4 and 2/2, so 2/3; two empty ones are alike; "x" and "y" are not.
    assert found.explanation_rougeL == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert found.greedy_identity == pytest.approx(2 / 3)
    assert asked == [(1, ["yes", "no", "yes"])] * 2, "the same labels, one beam"
    assert found.beyond == [
        "label_agreement 0.667 (at least 0.7)",
        "probability_difference 0.15 (at most 0.1)",
        "probability_difference_p95 0.145 (at most 0.14)",
        "explanation_rougeL 0.556 (at least 0.6)",
    ]


def test_a_package_beyond_the_limits_is_not_kept(calibrated: Path, tmp_path: Path) -> None:
    limits = ANY.model_copy(update={"probability_difference": 0.0})
    sample = load_sample(calibrated, limit=4)
    with pytest.raises(ParityError, match=r"probability_difference .* \(at most 0\)\. Nothing was kept"):
        export(calibrated, tmp_path / "package", quantization="int8", sample=sample, limits=limits)
    assert list(tmp_path.iterdir()) == []


def test_advice_of_a_package_beyond_its_limits_fits_the_quantization(calibrated: Path, exported: Exported) -> None:
    native, parity = Student.load(calibrated), exported.manifest.parity
    beams = replace(native, generation=native.generation.model_copy(update={"num_beams": 4}))
    greedy = replace(native, generation=native.generation.model_copy(update={"num_beams": 1}))
    assert "another quantization" in _advice("int8", parity, beams)
    assert "num_beams: 1" in _advice("float32", parity, beams)
    assert "num_beams" not in _advice("float32", parity, greedy)


def test_int8_is_smaller_and_its_differences_are_written_down(
    calibrated: Path, exported: Exported, tmp_path: Path
) -> None:
    small = export(calibrated, tmp_path / "p", quantization="int8", sample=load_sample(calibrated, limit=6), limits=ANY)
    assert (tmp_path / "p" / "model.bin").stat().st_size < 0.5 * (exported.folder / "model.bin").stat().st_size
    assert small.manifest.parity.probability_difference is not None
    assert small.manifest.parity.probability_difference > 0
    assert small.manifest.fingerprint != exported.manifest.fingerprint
    assert Student.load(tmp_path / "p").predict(load("scenes:2").examples)


# --- what is refused ---


def test_what_this_machine_does_not_compute_in_is_refused_before_anything_is_done(
    calibrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctranslate2, "get_supported_compute_types", lambda device: {"float32", "int8"})
    with pytest.raises(ConfigError, match=r"--quantization: expected .*cpu: float32, int8\), found bfloat16"):
        export(calibrated, tmp_path / "package", quantization="bfloat16")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_stays_as_it_is(calibrated: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x", encoding="utf-8")
    with pytest.raises(OutputError, match="found a folder with files in it"):
        export(calibrated, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_what_is_no_student_is_refused(exported: Exported, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="Export the student it came from"):
        export(exported.folder, tmp_path / "p")
    with pytest.raises(CheckpointError, match="no such folder"):
        export(tmp_path / "absent", tmp_path / "p")
    assert not (tmp_path / "p").exists()


def test_a_student_of_another_task_needs_rows_of_its_own(tmp_path: Path) -> None:
    student = tiny.student("t5")
    task = Task(name="yesno", fields=("question",), labels=("yes", "no"))
    student.settings.model_copy(update={"task": task}).save(tmp_path)
    with pytest.raises(ConfigError, match=r"--sample: expected rows of the task 'yesno' .*--sample DATA"):
        load_sample(tmp_path)
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"id": "a", "question": "Is it?", "label": "yes", "split": "train"}\n', encoding="utf-8")
    assert len(load_sample(tmp_path, str(rows)).examples) == 1
    with pytest.raises(DataError, match="test"):
        load_sample(tmp_path, str(rows), split="test")


# --- the command line ---


@pytest.fixture(scope="module")
def scenes_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("scenes") / "package"
    return export(BUILTIN, out, quantization="float32", sample=load_sample(BUILTIN, limit=20)).folder


def test_the_command_exports_and_says_how_it_compares(command: Command, tmp_path: Path) -> None:
    out = tmp_path / "package"
    words = ("export", BUILTIN, "--out", out, "--quantization", "float32", "--limit", 8)
    code, said = command(*words)
    assert code == 0, said
    assert "label_agreement          1  (limit 1)" in said
    assert f"reasondistill explain {out}" in said
    code, said = command(*words)
    assert code == 2
    assert "nothing is overwritten" in said
    code, said = command("calibrate", out, "scenes:700@0", "--split", "validation")
    assert code == 2
    assert "Calibrate the student and export it again" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--split", "test"), "--sample: expected data"),
        (("--sample", "absent.csv"), "absent.csv"),
        (("--quantization", "int8", "--limit", "5", "--probability-difference", "0"), "at most 0"),
    ],
)
def test_the_command_refuses_and_leaves_nothing(
    words: tuple[str, ...], message: str, command: Command, tmp_path: Path
) -> None:
    code, said = command("export", BUILTIN, "--out", tmp_path / "p", *words)
    assert code == 2
    assert message in said
    assert list(tmp_path.iterdir()) == []


WITH_SERVE_ONLY = """
import sys

HIDDEN = {"torch", "transformers", "accelerate", "datasets", "safetensors", "bert_score", "huggingface_hub", "peft"}

class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Without())
real = __import__("importlib.util").util
found = real.find_spec
real.find_spec = lambda name, package=None: None if name.partition(".")[0] in HIDDEN else found(name, package)
from reasondistill.cli import main
sys.argv = ["reasondistill", *sys.argv[1:]]
try:
    main()
finally:
    assert not HIDDEN & {name.partition(".")[0] for name in sys.modules}, "imported all the same"
"""


def without_torch(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITH_SERVE_ONLY, *map(str, words)], capture_output=True, text=True, timeout=300
    )


def test_a_package_runs_where_neither_torch_nor_transformers_is(scenes_package: Path, tmp_path: Path) -> None:
    done = without_torch("explain", scenes_package, *FIELDS, "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    native = Student.load(BUILTIN).explain(premise="A man is sleeping on a beach.", hypothesis="A man is awake.")
    assert said["label"] == native.label == "contradiction"
    assert said["explanation"] == native.explanation
    assert said["probabilities"] == pytest.approx(native.probabilities, abs=1e-4)
    out = tmp_path / "out.jsonl"
    done = without_torch("predict", scenes_package, "scenes:4@3", "--out", out)
    assert done.returncode == 0, done.stderr
    assert [p.label for p in read_predictions(out)] == [
        p.label for p in Student.load(BUILTIN).predict(load("scenes:4@3").examples)
    ]
    meta = json.loads((tmp_path / "out.meta.json").read_text(encoding="utf-8"))
    assert meta["student"] == packages.Manifest.load(scenes_package).fingerprint


def test_without_its_extra_a_package_says_which_one_it_needs(scenes_package: Path, without_extras: str) -> None:
    code = f"{without_extras}\nfrom reasondistill.cli import main\nsys.argv = ['x', *sys.argv[1:]]\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", code, "explain", str(scenes_package), *FIELDS],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 2
    assert "needs the extra 'serve'" in done.stderr
    assert "Traceback" not in done.stderr
