"""Lengths beyond a student's table of positions: refused before any work, with what fits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tiny
from reasondistill import Student
from reasondistill.config import Generation, TrainConfig
from reasondistill.data import load
from reasondistill.errors import ConfigError
from reasondistill.storage.layered_yaml import validate_config
from reasondistill.students.checkpoint import positions_of
from reasondistill.students.engines.pytorch import TorchEngine
from reasondistill.students.positions import Positions
from reasondistill.students.prediction_files import predict_file
from reasondistill.training.train import check, train


def config(folder: Path, student: dict[str, Any], **lengths: Any) -> TrainConfig:
    value = {
        "name": "long",
        "runs_dir": str(folder / "runs"),
        "data": {"train": {"source": str(folder / "not_read.csv")}},
        "student": student,
        "training": {"use_cpu": True, "bf16": False, "report_to": "none"},
        "max_source_length": 128,
        "max_target_length": 128,
        "generation": {"max_new_tokens": 128},
    }
    return validate_config(TrainConfig, value | lengths, where="test")


@pytest.mark.parametrize(
    ("family", "rows"), [("bart", 128), ("pegasus", 128), ("t5", None), ("flan-t5", None), ("mt5", None)]
)
def test_a_table_of_positions_is_found(family: str, rows: int | None) -> None:
    assert positions_of(tiny.student(family).model) == Positions(rows, rows)


@pytest.mark.parametrize("kind", ["hub", "warm_start"])
def test_a_training_whose_lengths_do_not_fit_reads_no_data(tmp_path: Path, kind: str) -> None:
    if kind == "hub":
        tiny.student("bart").save(tmp_path / "student")
        student, fits = {"kind": "hub", "checkpoint": str(tmp_path / "student")}, 128
    else:
        student, fits = {"kind": "warm_start", "encoder": str(tiny.tiny_bert(tmp_path / "student"))}, 160
    longer = fits + 1
    check(config(tmp_path, student, max_source_length=fits, max_target_length=fits))
    asked = config(
        tmp_path,
        student,
        max_source_length=longer,
        max_target_length=longer,
        generation={"max_new_tokens": longer},
    )
    with pytest.raises(ConfigError) as caught:
        train(asked)
    for key in ("max_source_length", "max_target_length", "generation.max_new_tokens"):
        assert f"{key}: expected at most {fits}, as the student has no more positions, found {longer}" in str(
            caught.value
        )
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("family", ["bart", "pegasus"])
def test_what_is_said_to_fit_is_written_to_its_last_token(family: str, tmp_path: Path) -> None:
    """The label before an explanation takes positions too. A student that never ends writes all that it may."""
    checkpoint = tiny.student(family)
    never_ends = replace(
        Student(
            TorchEngine(checkpoint.model, checkpoint.codec), checkpoint.settings.task, "label_first", Generation(), "x"
        ),
        generation=Generation(num_beams=1, max_new_tokens=128, repetition_penalty=1.0),
    )
    examples = list(load("scenes:20").examples)[:1]
    out = tmp_path / "out.jsonl"
    with pytest.raises(ConfigError, match=r"generation.max_new_tokens: expected at most (\d+)") as caught:
        predict_file(never_ends, examples, out, facts={})
    assert not list(tmp_path.iterdir())
    fits = int(str(caught.value).partition("at most ")[2].partition(",")[0])
    checkpoint.model.final_logits_bias[0, checkpoint.codec.eos_token_id] = -1e9
    generation = never_ends.generation.model_copy(update={"max_new_tokens": fits})
    predict_file(never_ends, examples, out, facts={}, generation=generation)
    # Of this row the engine knows the label: a shorter one than the longest leaves a little more room.
    with pytest.raises(ConfigError, match=r"generation\.max_new_tokens: expected at most"):
        never_ends.predict(examples, generation=generation.model_copy(update={"max_new_tokens": 128}))
