"""Every value of every JSON file of a student, a judge and a package, replaced by odd ones: a sentence, or an answer.

The folder is sealed anew after each change, so that no seal refuses it first. What must not happen is any other
exception, a wait without end, or memory without bound.
"""

from __future__ import annotations

import json
import math
import random
import resource
import shutil
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import packaging_helpers as made
import tiny
from reasondistill.cli import app
from reasondistill.config import Generation
from reasondistill.contracts.seals import FileSeal, seal_folder
from reasondistill.data.scenes import generate
from reasondistill.errors import UserError
from reasondistill.judges import Judge
from reasondistill.judges.argued import Argued
from reasondistill.storage.files import seal_of
from reasondistill.students.calibration import (
    CALIBRATION_FILE,
    checkpoint_fingerprint,
)
from reasondistill.students.package import PACKAGE_FILE, Manifest
from reasondistill.students.package.manifest import Origin, Parity, ParityData, ParityLimits
from reasondistill.students.student import Student

DEEP: Any = []
for _ in range(60):
    DEEP = [DEEP]
ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2.5,
    1e308,
    float("nan"),
    "",
    "x",
    "é\ud800",
    [],
    {},
    [[]],
    {"x": None},
    10**6,
    10**30,
    DEEP,
)
BUILTIN = Path(tiny.__file__).parents[1] / "src" / "reasondistill" / "builtin"
MOST_KEYS = 40  # of an object that is gone through key by key: a vocabulary has more, and is replaced as a whole
MOST_MEMORY = 2**30
EXAMPLE = generate(1, seed=3)[0]

Place = tuple[str, tuple[Any, ...]]
"""A file's name, and the keys that lead to a value in it."""


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(value, dict) and len(value) <= MOST_KEYS:
        for key in value:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*path, 0))


def places_in(folder: Path) -> list[Place]:
    files = sorted(path for path in folder.glob("*.json") if path.name != "seal.json")
    return [(path.name, keys) for path in files for keys in places(json.loads(path.read_text(encoding="utf-8")))]


def change(path: Path, keys: tuple[Any, ...], value: Any) -> None:
    whole = json.loads(path.read_text(encoding="utf-8"))
    part = whole
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value
    path.write_text(json.dumps(whole), encoding="utf-8")


def reseal_package(folder: Path) -> None:
    path = folder / PACKAGE_FILE
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["files"] = {name: seal_of(folder / name) for name in manifest["files"]}
    path.write_text(json.dumps(manifest), encoding="utf-8")


def reseal_student(folder: Path) -> None:
    """The calibration, too, is made to name the changed student: it would be refused before anything is asked."""
    seal_folder(folder)
    path = folder / CALIBRATION_FILE
    calibration = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(calibration.get("student"), str) and len(calibration["student"]) == 16:
        path.write_text(json.dumps(calibration | {"student": checkpoint_fingerprint(folder)}), encoding="utf-8")
        seal_folder(folder)


def ask_student(folder: Path) -> None:
    (prediction,) = Student.load(folder).predict([EXAMPLE], generation=Generation(num_beams=2, max_new_tokens=3))
    assert all(map(math.isfinite, prediction.probabilities.values()))


def ask_judge(folder: Path) -> None:
    judge = Judge.load(folder)
    judge.cache = False
    assert CliRunner().invoke(app, ["judge", "show", str(folder)]).exit_code == 0
    (support,) = judge.support([Argued(tuple(EXAMPLE.fields.values()), "neutral", "Nobody says so.")])
    assert 0 <= support <= 1


def package_folder(folder: Path) -> Path:
    student = tiny.student("t5")
    made.package(student, folder)
    student.settings.save(folder)
    made.calibration("s1").save(folder)
    generation = student.settings.generation
    shares: dict[str, Any] = {"label_agreement": 1, "probability_difference": 0, "greedy_identity": 1}
    Manifest(
        quantization="float32",
        student=Origin(fingerprint="s1", family="t5", parameters=1),
        tokenizer=made.facts_of(student),
        decoder_start_token_id=0,
        files={path.name: FileSeal.model_validate(seal_of(path)) for path in folder.iterdir()},
        versions={"python": "3"},
        parity=Parity(
            n=1,
            data=ParityData(name="own", split=None, fingerprint="abc"),
            generation=generation,
            explanation_identity=1,
            explanation_rougeL=1,
            limits=ParityLimits(**shares, explanation_rougeL=1),
            **shares,
        ),
    ).save(folder)
    return folder


def judge_folder(folder: Path) -> Path:
    """The shipped judge, with a verdict and figures of votes as a judge with votes has them."""
    shutil.copytree(BUILTIN / "scenes_judge", folder)
    info = json.loads((folder / "judge.json").read_text(encoding="utf-8"))
    for name, value in {"components": "verdict", "mean": 0.0, "deviation": 1.0, "weight": 0.5}.items():
        info["combination"][name].append(value)
    info["verdict"] = {"bias": 0.1, "grams": {"not": [0.5, 1.5]}}
    figures = {"n": 9, "roc_auc": 0.7, "average_precision": 0.6, "best_of": None, "best_possible": None}
    info["held_out"]["votes"] = {"without_votes": figures, "with_votes": figures}
    (folder / "judge.json").write_text(json.dumps(info), encoding="utf-8")
    seal_folder(folder)
    return folder


KINDS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], None], Callable[[Path], None]]] = {
    "student": (made.calibrated, reseal_student, ask_student),
    "judge": (judge_folder, seal_folder, ask_judge),
    "package": (package_folder, reseal_package, ask_student),
}
"""How each is made, sealed anew, and asked."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made_before: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        if kind not in made_before:
            made_before[kind] = KINDS[kind][0](tmp_path_factory.mktemp("whole") / kind)
        return made_before[kind]

    return folder


def outcome(kind: str, folder: Path, place: Place, value: Any) -> str:
    """What comes of a value in a place: "answer", "sentence", or what else was raised."""
    name, keys = place
    before = (folder / name).read_bytes()
    _, seal, ask = KINDS[kind]
    # The tokenizer library writes its panics to the process's stderr, whoever catches them.
    try:
        change(folder / name, keys, value)
        if name != PACKAGE_FILE:
            seal(folder)
        ask(folder)
    except UserError as error:
        return "sentence" if len(str(error)) < 2000 else f"a sentence of {len(str(error))} characters"
    except BaseException as error:  # noqa: BLE001 - that nothing else comes is what is tested
        return f"{type(error).__name__}: {error}"
    finally:
        (folder / name).write_bytes(before)
    return "answer"


def held_to_a_sentence_or_an_answer(kind: str, folder: Path, cases: list[tuple[Place, Any]]) -> None:
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    outcomes = {(place, repr(value)[:30]): outcome(kind, folder, place, value) for place, value in cases}
    assert {case: text for case, text in outcomes.items() if text not in ("answer", "sentence")} == {}
    assert {"answer", "sentence"} == set(outcomes.values()), "the loop tells them apart"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - memory < MOST_MEMORY


@pytest.mark.parametrize("kind", KINDS)
def test_an_odd_value_in_each_place(kind: str, whole: Callable[[str], Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(whole(kind), tmp_path / "copy"))
    KINDS[kind][2](folder)
    everywhere = places_in(folder)
    cases = [(place, ODD[k % len(ODD)]) for k, place in enumerate(everywhere)][::2]
    held_to_a_sentence_or_an_answer(kind, folder, cases)


@pytest.mark.slow  # hundreds of models are loaded
@pytest.mark.parametrize("kind", KINDS)
def test_many_odd_values_in_any_place(kind: str, whole: Callable[[str], Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(whole(kind), tmp_path / "copy"))
    # All of them, some thousand a kind, take longer than a test may.
    cases = random.Random(0).sample(list(product(places_in(folder), ODD)), 250)
    held_to_a_sentence_or_an_answer(kind, folder, cases)
