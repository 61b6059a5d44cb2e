"""A student's folder that is damaged, or something else: a sentence, never a traceback, and never random weights.

A seal names what was changed. These tests are of what is refused without one, or in a folder that was sealed anew.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny
from reasondistill.contracts.seals import SEAL_FILE, seal_folder
from reasondistill.errors import CheckpointError
from reasondistill.students.checkpoint import load_checkpoint
from reasondistill.students.student_task import TASK_FILE

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


def asked(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        value = json.loads((folder / TASK_FILE).read_text(encoding="utf-8"))
        value["generation"] |= changes
        (folder / TASK_FILE).write_text(json.dumps(value), encoding="utf-8")

    return change


def wordless(folder: Path) -> None:
    """A tokenizer whose post-processor keeps nothing of a text."""
    value = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    value["post_processor"] = {"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": {}}
    (folder / "tokenizer.json").write_text(json.dumps(value), encoding="utf-8")


def written(name: str, content: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return change


def filled(value: float, dtype: torch.dtype = torch.float32) -> Callable[[Path], None]:
    """The last weights of the decoder all of one value."""

    def change(folder: Path) -> None:
        weights = load_file(folder / WEIGHTS)
        name = "decoder.final_layer_norm.weight"
        weights[name] = torch.full_like(weights[name], value).to(dtype)
        save_file(weights, folder / WEIGHTS, {"format": "pt"})

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, "invalid header length|incomplete"),
        (emptied, "header too small"),
        (other_bytes, "header too large"),
        (flipped_header, "invalid UTF-8 in header"),
        (pickled, r"no file named model\.safetensors"),
        (configured(d_model=64), r"shared\.weight of the shape \(\d+, 32\) instead of \(\d+, 64\)"),
        (configured(d_ff=10**9), r"of the shape \(64, 32\) instead of \(1000000000, 32\)"),
        (configured(num_layers=10**6), "num_layers 1,000,000 and 4. tensors"),
        (configured(num_decoder_layers=10**6), "num_decoder_layers 1,000,000 and 4. tensors"),
        (configured(layer_norm_epsilon=5.0), "layer_norm_epsilon: expected a number from 1e-15 to 0.1, found 5.0"),
        (configured(layer_norm_epsilon=float("nan")), "layer_norm_epsilon: expected a number, found nan"),
        (configured(decoder_start_token_id=-1), "decoder_start_token_id: expected a token's number"),
        (configured(scale_decoder_outputs="x"), "scale_decoder_outputs: expected true or false, found 'x'"),
        (configured(d_model="32"), "d_model: expected a whole number"),
        (configured(model_type=["t5"]), "unhashable"),
        (asked(num_beams=10_000), "generation.num_beams: Input should be less than or equal to 64"),
        (asked(num_beams="4"), "generation.num_beams: Input should be a valid integer"),
        (asked(max_new_tokens=10**6), "generation.max_new_tokens: Input should be less than"),
        (written("config.json", b"{\xff}"), "config.json.*expected text in UTF-8"),
        (written("config.json", b""), "config.json.*an empty file"),
        (written("config.json", b'{"d_model": 1, "d_model": 2}'), "the key 'd_model' twice"),
        (written("tokenizer_config.json", b'{"a":' * 10**5), "tokenizer_config.json.*expected a JSON object"),
        (written("tokenizer.json", b"{}"), "expected weights and tokenizer"),
        (wordless, "a tokenizer that encodes a prompt"),
        (written("task.json", b"[]"), "task.json.*expected a JSON object"),
        (filled(float("nan")), r"NaN or infinity in decoder\.final_layer_norm\.weight"),
        (filled(float("-inf")), r"NaN or infinity in decoder\.final_layer_norm\.weight"),
        (filled(3e38), "expected a student whose scores are finite numbers"),
        (filled(1.0, dtype=torch.int64), "decoder.final_layer_norm.weight of the type I64"),
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
    with pytest.raises(CheckpointError, match=f"expected the files that {SEAL_FILE} was made of"):
        load_checkpoint(copied)
    seal_folder(copied)
    with pytest.raises(CheckpointError, match=f"(?s){message}") as caught:
        load_checkpoint(copied)
    assert str(caught.value).startswith(str(copied))
    assert "\n" not in str(caught.value), "a sentence"
    assert "[y/N]" not in capsys.readouterr().out, "no question whether to run its code"


@pytest.mark.parametrize("family", tiny.FEW)
def test_whole_students_of_every_family_lack_nothing(family: str, tmp_path: Path) -> None:
    tiny.student(family).save(tmp_path)
    assert load_checkpoint(tmp_path).settings == tiny.student(family).settings
