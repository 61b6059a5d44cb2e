"""Seals: what was changed in a student's or a judge's folder is refused by name, and sealed anew on purpose."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import tiny
from packaging_helpers import calibrated, calibration
from reasondistill.cli import app
from reasondistill.contracts.seals import SEAL_FILE, Seal, require_unchanged, seal_folder, write_sealed
from reasondistill.errors import CheckpointError, DataError, OutputError, UserError
from reasondistill.judges import Judge
from reasondistill.students.calibration import CALIBRATION_FILE, Calibration, checkpoint_fingerprint
from reasondistill.students.checkpoint import load_checkpoint, load_seq2seq, load_tokenizer
from reasondistill.students.student import Student

BUILTIN = Path(tiny.__file__).parents[1] / "src" / "reasondistill" / "builtin"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return calibrated(tmp_path_factory.mktemp("whole") / "student")


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "student"))


def edited(name: str, **values: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")

    return change


def relabelled(folder: Path) -> None:
    path = folder / "task.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"neutral"', '"nuetral"'), encoding="utf-8")


def flipped(folder: Path) -> None:
    """One exponent bit of one weight."""
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1 << 5
    (folder / "model.safetensors").write_bytes(data)


def seal(folder: Path) -> str:
    result = CliRunner().invoke(app, ["seal", str(folder)])
    if isinstance(result.exception, UserError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


# --- what is refused, and how it is mended ---


@pytest.mark.parametrize(
    ("change", "name", "goes_on"),
    [
        (flipped, "model.safetensors has another content", True),
        (relabelled, "task.json has another content", True),
        (edited("config.json", layer_norm_epsilon=1e-5), "config.json has", True),
        (edited("tokenizer_config.json", clean_up_tokenization_spaces=True), "tokenizer_config.json has", True),
        (edited("tokenizer.json", normalizer={"type": "Lowercase"}), "tokenizer.json has", True),
        (edited("generation_config.json", num_beams=3), "generation_config.json has", True),
        (edited(CALIBRATION_FILE, temperature=15.0), f"{CALIBRATION_FILE} has", True),
        (lambda folder: (folder / CALIBRATION_FILE).unlink(), f"{CALIBRATION_FILE} is not there", True),
        (lambda folder: (folder / "vocab.json").write_text("{}"), "vocab.json was added", True),
        (lambda folder: (folder / "adapter_config.json").write_text("{}"), "adapter_config.json was added", False),
        (lambda folder: (folder / "config.json").unlink(), "config.json is not there", False),
    ],
)
def test_a_changed_student_is_refused_by_name_and_can_be_sealed_anew(
    copied: Path, change: Callable[[Path], Any], name: str, goes_on: bool
) -> None:
    change(copied)
    with pytest.raises(CheckpointError, match=name) as caught:
        Student.load(copied)
    assert f"reasondistill seal {copied}" in str(caught.value)
    assert name in seal(copied)
    assert "nothing has changed" in seal(copied)
    if not goes_on:
        with pytest.raises(CheckpointError):
            Student.load(copied, calibrated=False)
        return
    assert Student.load(copied, calibrated=False).fingerprint == checkpoint_fingerprint(copied)


def test_several_changes_are_named_at_once(copied: Path) -> None:
    flipped(copied)
    relabelled(copied)
    with pytest.raises(CheckpointError, match=r"model\.safetensors has .*; task\.json has "):
        load_checkpoint(copied)


@pytest.mark.parametrize("name", ["README.md", ".gitattributes", "notes.json", "LICENSE.txt", "model.onnx"])
def test_a_card_and_other_files_are_no_part_of_it(copied: Path, name: str) -> None:
    before = Student.load(copied)
    (copied / name).write_text("anything", encoding="utf-8")
    (copied / "onnx").mkdir()
    (copied / "onnx" / "config.json").write_text("{}", encoding="utf-8")
    after = Student.load(copied)
    assert (after.fingerprint, after.calibration) == (before.fingerprint, before.calibration)


def test_a_student_without_a_seal_loads_as_it_did(copied: Path) -> None:
    sealed = Student.load(copied)
    (copied / SEAL_FILE).unlink()
    assert Student.load(copied).fingerprint == sealed.fingerprint, "predictions of before stay this student's"
    assert Student.load(copied).calibration == sealed.calibration
    edited("config.json", layer_norm_epsilon=1e-5)(copied)
    assert Student.load(copied, calibrated=False).fingerprint != sealed.fingerprint
    assert "it had no seal" in seal(copied)
    assert "config.json" in Seal.of(copied).files


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_all_that_a_student_is_saved_as_is_sealed(family: str, tmp_path: Path) -> None:
    tiny.student(family).save(tmp_path)
    seal = Seal.load(tmp_path)
    assert seal is not None
    assert {path.name for path in tmp_path.iterdir()} - {SEAL_FILE} == set(seal.files)
    sealed = checkpoint_fingerprint(tmp_path)
    (tmp_path / SEAL_FILE).unlink()
    assert checkpoint_fingerprint(tmp_path) == sealed


def test_transformers_and_a_training_read_a_sealed_student(copied: Path) -> None:
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    model = AutoModelForSeq2SeqLM.from_pretrained(copied)
    assert len(AutoTokenizer.from_pretrained(copied)) <= model.config.vocab_size
    load_seq2seq(str(copied))
    flipped(copied)
    with pytest.raises(CheckpointError, match=r"model\.safetensors has another content"):
        load_seq2seq(str(copied))
    load_tokenizer(copied)  # the weights are not read for it
    edited("tokenizer.json", version="2")(copied)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json has"):
        load_tokenizer(copied)


# --- calibration ---


def test_a_new_calibration_is_sealed_with_its_student(copied: Path) -> None:
    student = Student.load(copied)
    assert student.calibration is not None
    student.calibration.model_copy(update={"temperature": 3.0}).save(copied)
    again = Student.load(copied)
    assert again.calibration is not None
    assert (again.calibration.temperature, again.fingerprint) == (3.0, student.fingerprint)


def test_a_calibration_does_not_seal_changed_weights(copied: Path) -> None:
    calibration = Student.load(copied).calibration
    assert calibration is not None
    flipped(copied)
    calibration.save(copied)
    with pytest.raises(CheckpointError, match=r"found model\.safetensors has another content than was written\. "):
        Student.load(copied)
    assert "was fitted to the student before this change and is now refused" in seal(copied)
    with pytest.raises(CheckpointError, match="that of another student"):
        Student.load(copied)


def test_calibrate_mends_a_broken_calibration_and_refuses_changed_weights(copied: Path) -> None:
    arguments = ["calibrate", str(copied), "scenes:900@9", "--split", "validation", "--force"]
    edited(CALIBRATION_FILE, temperature=15.0)(copied)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert Student.load(copied).calibration is not None
    flipped(copied)
    before = {path.name: path.read_bytes() for path in copied.iterdir()}
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, CheckpointError)
    assert before == {path.name: path.read_bytes() for path in copied.iterdir()}


def test_file_and_seal_are_both_written_or_neither(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in copied.iterdir()}
    replace = Path.replace

    def full(self: Path, target: Path) -> Path:
        if Path(target).name == CALIBRATION_FILE:
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match="Make room"):
        write_sealed(copied / CALIBRATION_FILE, {"temperature": 1.0})
    assert before == {path.name: path.read_bytes() for path in copied.iterdir()}


def test_what_no_student_can_have_is_not_sealed(copied: Path) -> None:
    before = (copied / SEAL_FILE).read_bytes()
    edited(CALIBRATION_FILE, temperature=100)(copied)
    with pytest.raises(CheckpointError, match="temperature: Input should be less than"):
        seal(copied)
    edited("task.json", max_source_length=10**9)(copied)
    with pytest.raises(CheckpointError, match="max_source_length: Input should be less than or equal to 16384"):
        seal(copied)
    assert (copied / SEAL_FILE).read_bytes() == before


# --- the seal itself ---


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"{}",
        b'{"schema_version": 2, "files": {}}',
        b'{"schema_version": 1, "files": {}}',
        b'{"schema_version": 1, "files": {"a": 1}}',
        b'{"schema_version": true, "files": {"a": {"bytes": 1, "sha256": ""}}}',
        b'{"schema_version": 1, "files": {"../a": {"bytes": 1, "sha256": "%s"}}}' % (b"0" * 64),
        b'{"schema_version": 1, "files": {"a": {"bytes": -1, "sha256": "%s"}}}' % (b"0" * 64),
        b'{"schema_version": 1, "schema_version": 1}',
    ],
)
def test_a_broken_seal_is_named_and_made_anew(copied: Path, content: bytes) -> None:
    (copied / SEAL_FILE).write_bytes(content)
    with pytest.raises((CheckpointError, DataError), match=SEAL_FILE) as caught:
        Student.load(copied)
    assert f"reasondistill seal {copied}" in str(caught.value)
    assert "its seal could not be read" in seal(copied)
    Student.load(copied)


def test_what_is_shipped_is_sealed() -> None:
    for name in ("scenes", "scenes_judge"):
        assert Seal.load(BUILTIN / name) == Seal.of(BUILTIN / name)


def test_a_changed_judge_is_refused_and_can_be_sealed_anew(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(BUILTIN / "scenes_judge", tmp_path / "judge"))
    same = Judge.load(folder).fingerprint
    path = folder / "judge.json"
    value = json.loads(path.read_text(encoding="utf-8"))
    value["combination"]["bias"] += 1.0
    path.write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"judge\.json has") as caught:
        Judge.load(folder)
    assert f"reasondistill seal {folder}" in str(caught.value)
    assert "judge.json has" in seal(folder)
    assert Judge.load(folder).fingerprint != same


@pytest.mark.parametrize("name", ["builtin:scenes", "nowhere", "empty"])
def test_only_a_student_or_a_judge_of_yours_is_sealed(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError):
        seal(Path(name) if name.startswith("builtin") else tmp_path / name)
    assert list((tmp_path / "empty").iterdir()) == []


def test_patterns_pass_files_over(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"1")
    (tmp_path / "config.json").write_bytes(b"{}")
    seal_folder(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"2")
    (tmp_path / "vocab.txt").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"model\.safetensors has another content.*; vocab\.txt was added"):
        require_unchanged(tmp_path)
    require_unchanged(tmp_path, besides=("*.safetensors", "vocab.*"))


def test_a_calibration_is_read_from_a_folder_of_its_own(tmp_path: Path) -> None:
    written = calibration("s1")
    written.save(tmp_path)
    assert Calibration.load(tmp_path) == written
    assert not (tmp_path / SEAL_FILE).exists()
