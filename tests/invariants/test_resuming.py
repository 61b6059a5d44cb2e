"""What was killed or stopped anywhere and goes on ends as what was not: runs, their logs, files of predictions."""

from __future__ import annotations

import random
import signal
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from reasondistill.config import Generation
from reasondistill.data import load
from reasondistill.runs import Run, find_student
from reasondistill.students.prediction_files import predict_file
from reasondistill.students.student import Student
from reasondistill.training.train import train
from reasondistill.training.trainer import DistillationTrainer
from trainings import finished, lines, logged, start, training_config, wait_for, weights


def killed_and_resumed(folder: Path, kills: int, seed: int) -> None:
    finished(start(folder, "whole"))
    whole = Run(folder / "runs" / "whole")
    training = whole.info().timings["training"]
    cut = Run(folder / "runs" / "cut")
    generator = random.Random(seed)
    for _ in range(kills):
        process = start(folder, "cut", *(["--resume"] if (cut.folder / "run.json").exists() else []))
        # Training begins when a row is logged; before that, imports take most of the time.
        before = lines(cut)
        wait_for(partial(grown, cut, before), process)
        time.sleep(generator.uniform(0, 0.7 * training / kills))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if (cut.folder / "student").exists():
            break
    finished(start(folder, "cut", "--resume"))
    assert (cut.student / "model.safetensors").read_bytes() == (whole.student / "model.safetensors").read_bytes()
    assert logged(cut) == logged(whole)
    assert cut.info().status == "finished"
    assert not list(cut.checkpoints.glob("*.part"))


def grown(run: Run, before: list[str]) -> bool:
    return lines(run) not in ([], before)


def test_a_run_killed_twice_ends_bit_equal(tmp_path: Path) -> None:
    killed_and_resumed(tmp_path, kills=2, seed=1)


@pytest.mark.slow
def test_a_run_killed_ten_times_ends_bit_equal(tmp_path: Path) -> None:
    killed_and_resumed(tmp_path, kills=10, seed=2)


def test_a_stopped_run_goes_on_to_the_same_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train(training_config(tmp_path, name="whole"))

    original = DistillationTrainer.compute_loss

    def stop_at_five(self: DistillationTrainer, *args: Any, **kwargs: Any) -> Any:
        if self.state.global_step == 4 and self.model.training:
            raise KeyboardInterrupt
        return original(self, *args, **kwargs)

    monkeypatch.setattr(DistillationTrainer, "compute_loss", stop_at_five)
    with pytest.raises(KeyboardInterrupt):
        train(training_config(tmp_path, name="cut"))
    monkeypatch.undo()
    cut = Run.open(tmp_path / "runs" / "cut")
    assert cut.info().status == "stopped"
    assert not cut.student.exists()
    resumed = train(training_config(tmp_path, name="cut"), resume=True)
    assert resumed.info().status == "finished"
    assert [(r["step"], "eval_loss" in r) for r in logged(resumed)] == [
        (r["step"], "eval_loss" in r) for r in logged(whole)
    ]
    assert logged(resumed)[-1]["eval_loss"] == pytest.approx(logged(whole)[-1]["eval_loss"], rel=1e-5)
    ours, theirs = weights(resumed.student), weights(whole.student)
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-6) for name in theirs)


@pytest.mark.usefixtures("one_thread")
def test_the_same_seed_gives_the_same_student(tmp_path: Path) -> None:
    one, two = (weights(train(training_config(tmp_path, name=name)).student) for name in ("one", "two"))
    other = weights(train(training_config(tmp_path, name="other", seed=6)).student)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one if one[name].shape == other[name].shape)


@pytest.mark.parametrize("kind", ["pytorch", "float32", "int8"])
def test_a_job_that_was_stopped_anywhere_writes_the_bytes_of_one_that_was_not(kind: str, tmp_path: Path) -> None:
    """With a real student: its scores depend in their last digits on what is in a batch together."""
    pytest.importorskip("transformers")
    made = Student.load("builtin:scenes")
    if kind != "pytorch":
        pytest.importorskip("ctranslate2")
        import packaging_helpers
        from reasondistill.students.checkpoint import load_checkpoint

        checkpoint = load_checkpoint(find_student("builtin:scenes"))
        made = replace(made, engine=packaging_helpers.engine(checkpoint, tmp_path / "p", kind))
    made = replace(made, generation=Generation(num_beams=1, max_new_tokens=3))
    examples = load("scenes:18").examples
    whole = predict_file(made, examples, tmp_path / "whole.jsonl", facts={}).read_bytes()
    lines = whole.splitlines(keepends=True)
    for rows, torn in ((1, 0), (6, 40), (10, 3), (17, 200)):
        out = tmp_path / f"{rows}.jsonl"
        part, meta = out.with_name(f"{out.name}.part"), out.with_name(f"{out.stem}.meta.json")
        meta.write_bytes((tmp_path / "whole.meta.json").read_bytes())
        part.write_bytes(b"".join(lines[:rows]) + (lines[rows][:torn] if torn else b""))
        assert predict_file(made, examples, out, facts={}).read_bytes() == whole, rows
