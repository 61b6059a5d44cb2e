"""Packages: nothing that is not as it was written."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import packaging_helpers as made
import tiny
from make import change_json
from reasondistill.contracts.seals import FileSeal
from reasondistill.errors import CheckpointError, ConfigError
from reasondistill.students.package import Manifest, is_package
from reasondistill.students.package.manifest import Origin, Parity, ParityData, ParityLimits
from reasondistill.students.package.opening import load_package
from reasondistill.students.package.tokenizer import TokenizerFacts
from reasondistill.students.prediction_files import predict_file
from reasondistill.students.student import Student

pytest.importorskip("ctranslate2")


def test_families_that_are_not_known_to_work_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"a family that can be exported \(T5, .*\), found 'longt5'"):
        made.package(tiny.student("longt5"), tmp_path / "p")


# --- the folder ---

LIMITS = ParityLimits(label_agreement=1, probability_difference=0, greedy_identity=1, explanation_rougeL=1)
PARITY = Parity(
    n=1,
    data=ParityData(name="own", split=None, fingerprint="abc"),
    generation=made.GREEDY,
    label_agreement=1,
    probability_difference=0,
    explanation_identity=1,
    explanation_rougeL=1,
    greedy_identity=1,
    limits=LIMITS,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with a manifest, as `export` writes it."""
    from reasondistill.storage.files import seal_of

    checkpoint = made.student("t5")
    folder = made.package(checkpoint, tmp_path_factory.mktemp("whole") / "package")
    checkpoint.settings.save(folder)
    Manifest(
        quantization="float32",
        student=Origin(fingerprint="s1", family="t5", parameters=1),
        tokenizer=made.facts_of(checkpoint),
        decoder_start_token_id=0,
        files={path.name: FileSeal.model_validate(seal_of(path)) for path in folder.iterdir()},
        versions={},
        parity=PARITY,
    ).save(folder)
    return folder


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "package"))


def test_a_package_is_a_student(whole: Path) -> None:
    assert is_package(whole)
    loaded = Student.load(whole)
    checkpoint = made.student("t5")
    assert (loaded.task, loaded.order, loaded.generation) == (
        checkpoint.settings.task,
        checkpoint.settings.order,
        checkpoint.settings.generation,
    )
    assert loaded.calibration is None
    assert loaded.fingerprint == load_package(whole).manifest.fingerprint != "s1"
    answers = loaded.predict(made.EXAMPLES)
    asked = Student(made.native(checkpoint), loaded.task, loaded.order, loaded.generation, "s1").predict(made.EXAMPLES)
    assert [(a.label, a.explanation) for a in answers] == [(a.label, a.explanation) for a in asked]


def test_a_package_knows_how_many_positions_it_has(tmp_path: Path) -> None:
    from reasondistill.storage.files import seal_of

    checkpoint = made.student("bart")
    folder = made.package(checkpoint, tmp_path / "package")
    checkpoint.settings.save(folder)
    Manifest(
        quantization="float32",
        student=Origin(fingerprint="s1", family="bart", parameters=1),
        tokenizer=made.facts_of(checkpoint),
        decoder_start_token_id=checkpoint.codec.decoder_start_token_id,
        positions=checkpoint.codec.positions,
        files={path.name: FileSeal.model_validate(seal_of(path)) for path in folder.iterdir()},
        versions={},
        parity=PARITY,
    ).save(folder)
    loaded = Student.load(folder)
    longer = loaded.generation.model_copy(update={"max_new_tokens": 128})
    with pytest.raises(ConfigError, match=r"generation\.max_new_tokens: expected at most 1\d\d, .* found 128"):
        predict_file(loaded, made.EXAMPLES, tmp_path / "new" / "out.jsonl", facts={}, generation=longer)
    assert not (tmp_path / "new").exists()
    loaded.predict(made.EXAMPLES[:1])


FILES = ["model.bin", "config.json", "shared_vocabulary.json", "tokenizer.json", "task.json"]


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte_is_found(copied: Path, name: str) -> None:
    data = bytearray((copied / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copied / name).write_bytes(data)
    with pytest.raises(CheckpointError, match=f"found {name} has another content than was written. Export"):
        Student.load(copied)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_or_shorter_file_is_found(copied: Path, name: str) -> None:
    text = (copied / name).read_bytes()
    (copied / name).write_bytes(text[:-1])
    with pytest.raises(CheckpointError, match=f"{name} has {len(text) - 1} bytes instead of {len(text)}"):
        Student.load(copied)
    (copied / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name} is not there"):
        Student.load(copied)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.update(schema_version=3), "schema version 1 or 2, found version 3"),
        (lambda v: v.clear(), "schema version 1 or 2, found version None"),
        (lambda v: v.update(engine="onnx"), "engine: Input should be 'ctranslate2'"),
        (lambda v: v.update(name="my-npm-package", version="1.0.0"), "name: Extra inputs"),
        (lambda v: v.pop("tokenizer"), "tokenizer: Field required"),
        (lambda v: v["files"].pop("model.bin"), r"expected the files \['config.json', 'model.bin'"),
        (lambda v: v["files"].update({"../other": v["files"]["model.bin"]}), r"found \['../other'"),
        (lambda v: v["files"].update({"model.pt": v["files"]["model.bin"]}), "'model.pt'"),
        (lambda v: v["parity"].update(label_agreement=7), "label_agreement: Input should be less"),
    ],
)
def test_foreign_and_newer_packages_are_refused(copied: Path, change: Any, message: str) -> None:
    change_json(copied / "package.json", change)
    with pytest.raises(CheckpointError, match=message):
        Student.load(copied)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema_version": 1, "schema_version": 1}', "\xff"])
def test_a_torn_manifest_is_refused(copied: Path, text: str) -> None:
    (copied / "package.json").write_bytes(text.encode("latin1"))
    with pytest.raises(CheckpointError, match=r"package\.json.*Export the student again"):
        Student.load(copied)


def test_a_package_without_its_manifest_is_still_known_as_one(copied: Path) -> None:
    (copied / "package.json").unlink()
    with pytest.raises(CheckpointError, match=r"package\.json: expected a file, found nothing"):
        Student.load(copied)


def test_a_calibration_that_was_put_into_it_is_refused(copied: Path) -> None:
    (copied / "calibration.json").write_text("{}", encoding="utf-8")
    with pytest.raises(CheckpointError, match="found a calibration that was added"):
        Student.load(copied)


def test_what_ctranslate2_cannot_read_is_refused_with_a_sentence(copied: Path) -> None:
    from reasondistill.storage.files import seal_of

    (copied / "model.bin").write_bytes(b"\0" * 100)
    change_json(copied / "package.json", lambda v: v["files"].update({"model.bin": seal_of(copied / "model.bin")}))
    with pytest.raises(CheckpointError, match="that CTranslate2 can run"):
        Student.load(copied)
    (copied / "tokenizer.json").write_text("{}", encoding="utf-8")
    seal = seal_of(copied / "tokenizer.json")
    change_json(copied / "package.json", lambda v: v["files"].update({"tokenizer.json": seal}))
    with pytest.raises(CheckpointError, match="expected a tokenizer"):
        Student.load(copied)


def test_facts_are_taken_from_the_tokenizer() -> None:
    facts = TokenizerFacts.of(tiny.sentencepiece_like(), eos_token_id=1)
    assert facts.model_dump() == {
        "eos_token_id": 1,
        "pad_token_id": 0,
        "unk_token_id": 2,
        "cleans_up_spaces": False,
        "truncation_side": "right",
    }
