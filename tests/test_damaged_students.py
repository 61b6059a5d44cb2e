"""A student's folder that is damaged, or something else: a sentence, never a traceback, and never random weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import tiny
from reasondistill.errors import CheckpointError
from reasondistill.students import load_checkpoint

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "student"
    tiny.student("t5").save(folder)
    return folder


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "student"))


def cut(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:5000])


def emptied(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(b"")


def other_bytes(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(b"\x80\x02}q\x00." * 100)


def flipped_header(folder: Path) -> None:
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[20] ^= 255
    (folder / WEIGHTS).write_bytes(data)


def pickled(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    torch.save({}, folder / "pytorch_model.bin")


def configured(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, "invalid header length|incomplete"),
        (emptied, "header too small"),
        (other_bytes, "header too large"),
        (flipped_header, "invalid UTF-8 in header"),
        (pickled, r"no file named model\.safetensors"),
        (configured(d_model=64), "expected weights and tokenizer"),
        (configured(num_layers=3), r"found no encoder\.block\.2\.layer\.0\..* and 5 others"),
        (configured(num_layers=1), r"found beside them encoder\.block\.1\.layer\.0\..* and 5 others"),
        (configured(model_type="bert"), "found a model of type 'bert'"),
        (configured(auto_map={"AutoConfig": "theirs.Config"}, model_type="theirs"), "theirs|custom code"),
    ],
)
def test_a_damaged_student_is_named(
    copied: Path, damage: Callable[[Path], None], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(copied)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_checkpoint(copied)
    assert str(caught.value).startswith(str(copied))
    assert "[y/N]" not in capsys.readouterr().out, "no question whether to run its code"


@pytest.mark.parametrize("family", tiny.FEW)
def test_whole_students_of_every_family_lack_nothing(family: str, tmp_path: Path) -> None:
    tiny.student(family).save(tmp_path)
    assert load_checkpoint(tmp_path).asked == tiny.student(family).asked
