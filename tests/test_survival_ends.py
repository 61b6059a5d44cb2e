"""A run that is stopped, killed or out of room at a chosen moment: at an epoch's end, its last step, between phases."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import reasondistill.training.trainer
import tiny
from make import facts_of
from reasondistill.config import TrainConfig
from reasondistill.contracts.records import Prediction
from reasondistill.data import load
from reasondistill.errors import CheckpointError, DataError, StoppedError
from reasondistill.evaluation import evaluate, save
from reasondistill.runs import Run, config_of_run, list_runs
from reasondistill.storage.files import write_json
from reasondistill.storage.layered_yaml import validate_config
from reasondistill.training import phases
from reasondistill.training.checkpoints import damage, last_good, part_of, place_of, seal
from reasondistill.training.stopping import FiniteWatch, TrainingError
from reasondistill.training.train import train
from reasondistill.training.trainer import DistillationTrainer
from trainings import flip, logged, values

pytestmark = pytest.mark.usefixtures("one_thread")

BY_EPOCH: dict[str, Any] = {
    "max_steps": -1,
    "num_train_epochs": 2,
    "eval_strategy": "epoch",
    "save_strategy": "epoch",
    "logging_strategy": "epoch",
    "load_best_model_at_end": True,
}
EPOCH = 10
"""Optimizer steps of an epoch of these runs."""

RISING: dict[str, Any] = {"load_best_model_at_end": True, "metric_for_best_model": "loss", "greater_is_better": True}
"""The loss falls, so that the first evaluation stays the best."""


class Killed(BaseException):
    """What ends a process at once, as seen from inside."""


def config(folder: Path, name: str, more: dict[str, Any] | None = None, **training: Any) -> TrainConfig:
    return validate_config(TrainConfig, values(folder, name, **training) | (more or {}), where="test")


def bits(run: Run) -> bytes:
    return (run.student / "model.safetensors").read_bytes()


def assert_same(cut: Run, whole: Run) -> None:
    assert logged(cut) == logged(whole)
    assert bits(cut) == bits(whole)
    assert cut.info().steps == whole.info().steps


def at(patch: pytest.MonkeyPatch, step: int, what: Any, phase: str = "joint") -> None:
    """Do ``what`` to the trainer in a step of training."""
    original = DistillationTrainer.compute_loss

    def compute_loss(self: DistillationTrainer, *args: Any, **kwargs: Any) -> Any:
        if self.state.global_step == step - 1 and self.phase == phase and self.model.training:
            what(self)
        return original(self, *args, **kwargs)

    patch.setattr(DistillationTrainer, "compute_loss", compute_loss)


def signalled(trainer: DistillationTrainer) -> None:
    trainer.stop.received = 2


def interrupted(trainer: DistillationTrainer) -> None:
    raise KeyboardInterrupt


def cut_at(step: int, asked: TrainConfig, *, resume: bool = False, phase: str = "joint") -> None:
    """Train until a step, and no further."""
    with pytest.MonkeyPatch.context() as patch:
        at(patch, step, interrupted, phase)
        with pytest.raises(KeyboardInterrupt):
            train(asked, resume=resume)


# --- a signal ---


@pytest.mark.parametrize(
    ("step", "options"),
    [
        (3, BY_EPOCH),
        (EPOCH, BY_EPOCH),
        (EPOCH + 7, BY_EPOCH),
        (7, RISING | {"max_steps": 9, "save_steps": 2, "eval_steps": 2, "save_total_limit": 1}),
        (5, RISING | {"max_steps": 8, "eval_steps": 1, "save_strategy": "best", "load_best_model_at_end": False}),
        (3, {"max_steps": 6, "save_steps": 2, "eval_on_start": True}),
        (4, {"max_steps": 6, "save_strategy": "no"}),
    ],
)
def test_a_signal_changes_nothing_but_the_time(tmp_path: Path, step: int, options: dict[str, Any]) -> None:
    whole = train(config(tmp_path, "whole", **options))
    with pytest.MonkeyPatch.context() as patch:
        at(patch, step, signalled)
        with pytest.raises(StoppedError, match=rf"stopped after step {step} of {whole.info().steps}, which is saved"):
            train(config(tmp_path, "cut", **options))
    cut = Run(tmp_path / "runs" / "cut")
    assert damage(place_of(cut.checkpoints, step)) is None
    assert_same(train(config(tmp_path, "cut", **options), resume=True), whole)


# --- killed at a chosen moment ---


@pytest.mark.parametrize("sampling", ["group_by_length", "random"])
def test_an_interrupted_epoch_goes_on_with_the_rows_that_are_left(tmp_path: Path, sampling: str) -> None:
    options: dict[str, Any] = {"max_steps": 14, "save_steps": 3, "eval_steps": 5, "train_sampling_strategy": sampling}
    whole = train(config(tmp_path, "whole", **options))
    for number, step in enumerate((3, 5, 12, 14)):  # two of them in the second epoch
        cut_at(step, config(tmp_path, "cut", **options), resume=number > 0)
    assert_same(train(config(tmp_path, "cut", **options), resume=True), whole)


def test_a_run_killed_after_each_of_its_checkpoints(tmp_path: Path) -> None:
    """The last one, too, and the one before an evaluation at the epoch's end."""
    options: dict[str, Any] = {"max_steps": 13, "save_steps": 2, "eval_strategy": "epoch", "logging_strategy": "epoch"}
    whole = train(config(tmp_path, "whole", **options))
    original = seal
    killed: list[str] = []

    def once(part: Path, checkpoint: Path) -> None:
        original(part, checkpoint)
        if checkpoint.name not in killed:
            killed.append(checkpoint.name)
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reasondistill.training.trainer, "seal", once)
        for number in range(7):
            with pytest.raises(Killed):
                train(config(tmp_path, "cut", **options), resume=number > 0)
        cut = train(config(tmp_path, "cut", **options), resume=True)
    assert killed == [f"checkpoint-{step}" for step in (2, 4, 6, 8, 10, 12, 13)]
    assert_same(cut, whole)


def test_a_run_that_had_stopped_early_does_not_go_on_in_another_place(tmp_path: Path) -> None:
    """Killed before its student was written, and moved since: the best checkpoint has another path."""
    options = RISING | {"max_steps": 12, "save_steps": 1, "eval_steps": 1}
    patience = {"early_stopping_patience": 3}
    whole = train(config(tmp_path, "whole", patience, **options))
    assert (whole.info().steps, facts_of(whole)["best"]["step"]) == (4, 1)

    def kill(*args: Any) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phases, "finish", kill)
        with pytest.raises(Killed):
            train(config(tmp_path, "cut", patience, **options))
    shutil.move(tmp_path / "runs", tmp_path / "moved" / "runs")
    cut = train(config(tmp_path / "moved", "cut", patience, **options), resume=True)
    whole = Run(tmp_path / "moved" / "runs" / "whole")
    assert facts_of(cut)["best"] == facts_of(whole)["best"]
    assert_same(cut, whole)


def test_a_damaged_best_checkpoint_is_said_when_a_run_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    options = RISING | {"max_steps": 8, "save_steps": 2, "eval_steps": 2}
    cut_at(6, config(tmp_path, "run", **options))
    best = place_of(tmp_path / "runs" / "run" / "checkpoints", 2)
    flip(best / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"checkpoint-2: expected the checkpoint that validation selected"):
        train(config(tmp_path, "run", **options), resume=True)
    assert "checkpoint-2, which validation selected, is damaged (model.safetensors has another content" in caplog.text
    assert not (tmp_path / "runs" / "run" / "student").exists()


def test_denoising_that_was_cut_begins_again_and_ends_the_same(tmp_path: Path) -> None:
    bert = tiny.tiny_bert(tmp_path / "bert")
    denoising = {"max_steps": 4, "per_device_train_batch_size": 8, "warmup_steps": 0}
    student = {"kind": "warm_start", "encoder": str(bert), "num_decoder_layers": 1, "denoising": denoising}
    options: dict[str, Any] = {"max_steps": 6, "save_steps": 3, "eval_strategy": "no", "logging_steps": 1}

    def asked(name: str) -> TrainConfig:
        return config(tmp_path, name, {"student": student}, **options)

    whole = train(asked("whole"))
    places = [("denoising", 3), ("denoising", 4), ("joint", 1), ("joint", 3), ("joint", 6)]
    for number, (phase, step) in enumerate(places):
        cut_at(step, asked("cut"), resume=number > 0, phase=phase)
    assert_same(train(asked("cut"), resume=True), whole)


def test_sealing_cut_off_anywhere_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    def made(folder: Path, step: int, text: str) -> Path:
        part = part_of(place_of(folder, step))
        part.mkdir(parents=True)
        for name in ("a", "b"):
            (part / name).write_text(text)
        return part

    def counting(original: Any, calls: list[int], moment: int) -> Any:
        def counted(*args: Any, **kwargs: Any) -> Any:
            calls.append(1)
            if len(calls) == moment:
                raise Killed
            return original(*args, **kwargs)

        return counted

    contents = []
    for moment in range(1, 40):
        folder = tmp_path / str(moment)
        for step in (1, 2):
            seal(made(folder, step, "old"), place_of(folder, step))
        part = made(folder, 2, "new")
        calls: list[int] = []
        with pytest.MonkeyPatch.context() as patch:
            for owner, name in ((os, "fsync"), (os, "unlink"), (os, "rmdir"), (Path, "rename"), (Path, "replace")):
                patch.setattr(owner, name, counting(getattr(owner, name), calls, moment))
            try:
                seal(part, place_of(folder, 2))
                ended = True
            except Killed:
                ended = False
        good = last_good(folder)
        assert good == place_of(folder, 2)
        assert (good / "a").read_text() == (good / "b").read_text()
        assert not list(folder.glob(".*"))
        contents.append((good / "a").read_text())
        if ended:
            break
    assert ended
    first = contents.index("new")
    assert contents == ["old"] * first + ["new"] * (len(contents) - first)
    assert first >= 3
    assert len(contents) - first >= 3


def test_what_a_killed_run_was_writing_is_removed(tmp_path: Path) -> None:
    cut_at(2, config(tmp_path, "run", max_steps=2, eval_strategy="no"))
    folder = tmp_path / "runs" / "run"
    (folder / ".student.abc.part").mkdir()
    (folder / ".run.json.abc.part").write_text("{")
    train(config(tmp_path, "run"), resume=True)
    assert not list(folder.glob(".*.part"))


# --- no room ---

FILL = """
mount -t tmpfs -o size={size} tmpfs runs || exit 99
{train}; echo "exit $?"
ls -A runs/run/checkpoints
mount -o remount,size=64m runs
{train} --resume; echo "exit $?"
ls -A runs/run runs/run/checkpoints
"""


@pytest.mark.parametrize(
    ("size", "what"), [("700k", "a checkpoint"), pytest.param("1060k", "the student", marks=pytest.mark.slow)]
)
def test_a_disk_that_is_full_in_earnest(tmp_path: Path, size: str, what: str) -> None:
    """A file system in memory with room for some checkpoints."""
    namespace = ["unshare", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*namespace, "true"], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    (tmp_path / "runs").mkdir()
    (tmp_path / "run.yaml").write_text(
        yaml.safe_dump(
            values(tmp_path, "run", max_steps=12, eval_strategy="no", save_total_limit=9) | {"runs_dir": "runs"}
        )
    )
    command = f"{sys.executable} -m reasondistill.cli train run.yaml 2>&1"
    done = subprocess.run(
        [*namespace, "sh", "-c", FILL.format(train=command, size=size)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )
    if done.returncode == 99:
        pytest.skip("no file system can be mounted here")
    before, _, after = done.stdout.partition("exit 2")
    assert f"expected room for {what}, found" in before
    assert "Make room and go on (`train` goes on with --resume" in before
    assert "Traceback" not in done.stdout
    kept, _, resumed = after.partition("exit 0")
    kept_names = [line for line in kept.splitlines() if line.startswith((".", "checkpoint-"))]
    assert kept_names
    assert all(name.startswith("checkpoint-") for name in kept_names)  # what did not fit is gone
    assert {"student", "checkpoint-12"} <= set(resumed.split())


# --- no number ---


def test_a_step_is_named_though_it_is_looked_at_later() -> None:
    watch = FiniteWatch()
    for step in range(5):
        watch.add(step, [f"a{step}", f"b{step}"], torch.tensor(float("nan") if step > 2 else 1.0))
        watch.add_gradient(torch.tensor(float("inf")) if step == 2 else 1.0)
    with pytest.raises(TrainingError, match=r"step 3: expected a gradient that is a number.*'a2', 'b2'\."):
        watch.check()
    watch.check()  # what was said is not said again


def test_the_last_steps_are_looked_at_where_nothing_is_logged_or_saved(tmp_path: Path) -> None:
    """As on an accelerator, where only logged and saved steps are."""
    options: dict[str, Any] = {"max_steps": 7, "save_strategy": "no", "eval_strategy": "no"}
    check = FiniteWatch.check

    def broken(trainer: DistillationTrainer) -> None:
        with torch.no_grad():
            next(iter(trainer.model.parameters())).fill_(float("nan"))

    looks: list[int] = []

    def look(watch: FiniteWatch) -> None:
        looks.append(1)
        check(watch)

    with pytest.MonkeyPatch.context() as patch:
        at(patch, 7, broken)
        # Looks of single steps are passed over; the one after training is not.
        patch.setattr(
            DistillationTrainer, "_maybe_log_save_evaluate", DistillationTrainer.__mro__[2]._maybe_log_save_evaluate
        )
        patch.setattr(FiniteWatch, "check", look)
        with pytest.raises(TrainingError, match="step 7: expected a loss that is a number"):
            train(config(tmp_path, "run", **options))
    assert looks == [1]
    assert not (tmp_path / "runs" / "run" / "student").exists()


# --- runs ---


def test_a_run_goes_on_by_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"max_steps": 6, "save_steps": 2, "eval_strategy": "no"}
    whole = train(config(tmp_path, "whole", **options))
    cut_at(4, config(tmp_path, "cut", **options))
    moved = shutil.move(tmp_path / "runs" / "cut", tmp_path / "renamed")
    monkeypatch.chdir(moved)
    assert_same(train(config_of_run("."), resume=True), whole)
    with pytest.raises(DataError, match="a run folder"):
        config_of_run(tmp_path)


def test_a_missing_key_is_named_and_files_may_vanish(tmp_path: Path) -> None:
    for name, facts in (("old", {"name": "old"}), ("new", {"name": "new", "status": "stopped", "created": "x"})):
        (tmp_path / name).mkdir()
        write_json(tmp_path / name / "run.json", {"schema_version": 1} | facts)
    (tmp_path / "new" / "gone").symlink_to(tmp_path / "absent")
    told = {run["name"]: run for run in list_runs(tmp_path)}
    assert "status: Field required" in str(told["old"]["problem"])
    assert told["new"]["problem"] is None


def test_evaluating_reads_no_pickle_but_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = load("scenes:60", split="test").examples
    predictions = [Prediction(id=e.id, label=e.label, explanation=e.explanations[0].text) for e in examples]
    evaluate(predictions, examples, name="scenes", split="test")  # libraries are imported, some with unpicklers in them

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a pickle was read")

    made: set[bytes] = set()
    dumps, loads = pickle.dumps, pickle.loads

    def remembered(*args: Any, **kwargs: Any) -> bytes:
        made.add(part := dumps(*args, **kwargs))
        return part

    monkeypatch.setattr(pickle, "dumps", remembered)
    monkeypatch.setattr(pickle, "loads", lambda part: loads(part) if part in made else refuse())
    for module, name in ((pickle, "load"), (pickle, "Unpickler"), (torch, "load")):
        monkeypatch.setattr(module, name, refuse)
    evaluation = evaluate(predictions, examples, name="scenes", split="test")
    save(evaluation, tmp_path / "out")
    assert evaluation.results.metrics["label_accuracy"].value == 1.0
