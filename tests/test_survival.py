"""Runs that are torn, filled up and stopped: what was saved stays. invariants/test_resuming.py kills them."""

from __future__ import annotations

import json
import pickle
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from make import facts_of
from reasondistill import Student
from reasondistill.cli import main
from reasondistill.data import load
from reasondistill.errors import CheckpointError, ConfigError, DataError, OutputError
from reasondistill.runs import Run, list_runs
from reasondistill.students.prediction_files import predict_file
from reasondistill.training.checkpoints import MANIFEST, damage, last_good, part_of, place_of, seal
from reasondistill.training.joint_model import JointModel
from reasondistill.training.losses import TokenLosses
from reasondistill.training.stopping import TrainingError
from reasondistill.training.train import train
from reasondistill.training.trainer import DistillationTrainer
from trainings import STEPS, config, finished, flip, lines, logged, start, tear, wait_for

# --- checkpoints ---


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with checkpoints of its last steps, 56 and 60, and the best one."""
    folder = tmp_path_factory.mktemp("trained")
    return train(config(folder, "run", save_total_limit=3))


@pytest.fixture
def run(trained: Run, tmp_path: Path) -> Run:
    """A copy of it that was stopped before its student was written."""
    shutil.copytree(trained.folder, tmp_path / "runs" / "run")
    made = Run(tmp_path / "runs" / "run")
    shutil.rmtree(made.student)
    # The copy's own paths: transformers keeps them.
    info = json.loads((made.folder / "run.json").read_text())
    info["config"]["runs_dir"] = str(tmp_path / "runs")
    (made.folder / "run.json").write_text(json.dumps(info))
    made.write(status="stopped")
    return made


def test_a_checkpoint_lists_the_hash_of_every_file(trained: Run) -> None:
    checkpoint = place_of(trained.checkpoints, STEPS)
    said = json.loads((checkpoint / MANIFEST).read_text())
    there = {path.relative_to(checkpoint).as_posix() for path in checkpoint.rglob("*") if path.is_file()}
    assert set(said["files"]) == there - {MANIFEST}
    assert {"model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"} <= there
    assert damage(checkpoint) is None


@pytest.mark.parametrize(
    ("hurt", "message"),
    [
        (lambda folder: flip(folder / "model.safetensors"), "model.safetensors has another content"),
        (lambda folder: tear(folder / "optimizer.pt"), "optimizer.pt has .* bytes instead of"),
        (lambda folder: (folder / "rng_state.pth").unlink(), "rng_state.pth is not there"),
        (lambda folder: (folder / MANIFEST).unlink(), f"{MANIFEST} is not there"),
        (lambda folder: tear(folder / MANIFEST), f"{MANIFEST} cannot be read"),
    ],
)
def test_a_damaged_checkpoint_is_refused_and_the_one_before_it_used(run: Run, hurt: Any, message: str) -> None:
    hurt(place_of(run.checkpoints, STEPS))
    part = part_of(place_of(run.checkpoints, 64))
    part.mkdir()
    with pytest.warns(UserWarning, match=message):
        assert last_good(run.checkpoints) == place_of(run.checkpoints, STEPS - 4)
    assert (run.checkpoints / f"damaged-checkpoint-{STEPS}").is_dir()  # said, kept, not used
    assert not part.exists()


def test_a_run_goes_on_from_the_last_whole_checkpoint(run: Run, trained: Run) -> None:
    flip(place_of(run.checkpoints, STEPS) / "model.safetensors")
    with pytest.warns(UserWarning, match="is damaged"):
        resumed = train(run.config(), resume=True)
    ours, theirs = load_file(resumed.student / "model.safetensors"), load_file(trained.student / "model.safetensors")
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-6) for name in theirs)


def test_no_whole_checkpoint_is_said_and_nothing_is_lost(run: Run) -> None:
    for checkpoint in run.checkpoints.glob("checkpoint-*"):
        tear(checkpoint / "trainer_state.json")
    with (
        pytest.warns(UserWarning, match="is damaged"),
        pytest.raises(CheckpointError, match="a whole checkpoint to go on from"),
    ):
        train(run.config(), resume=True)
    assert len(list(run.checkpoints.glob("damaged-*/model.safetensors"))) >= 2
    assert run.info().status == "stopped"


def test_a_damaged_best_checkpoint_is_not_loaded_in_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = DistillationTrainer._load_best_model

    def hurt_first(self: DistillationTrainer) -> None:
        flip(Path(str(self.state.best_model_checkpoint)) / "model.safetensors")
        original(self)

    monkeypatch.setattr(DistillationTrainer, "_load_best_model", hurt_first)
    options = {"max_steps": 4, "save_steps": 2, "eval_steps": 2, "load_best_model_at_end": True}
    with pytest.raises(CheckpointError, match="the checkpoint that validation selected"):
        train(config(tmp_path, "run", metric_for_best_model="both", **options))
    assert not (tmp_path / "runs" / "run" / "student").exists()


def test_the_best_checkpoint_outlives_newer_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0.9, 0.1, 0.2, 0.3, 0.4])
    original = DistillationTrainer.evaluate

    def evaluate(self: DistillationTrainer, *args: Any, **kwargs: Any) -> Any:
        return original(self, *args, **kwargs) | {"eval_both": next(scores)}

    monkeypatch.setattr(DistillationTrainer, "evaluate", evaluate)
    options = {"max_steps": 10, "save_steps": 2, "eval_steps": 2, "load_best_model_at_end": True}
    run = train(config(tmp_path, "run", metric_for_best_model="both", **options))
    assert sorted(path.name for path in run.checkpoints.iterdir()) == ["checkpoint-10", "checkpoint-2"]
    assert facts_of(run)["best"] == {"step": 2, "metric": "both", "value": 0.9}
    best = load_file(run.checkpoints / "checkpoint-2" / "model.safetensors")
    assert all(torch.equal(tensor, best[name]) for name, tensor in load_file(run.student / "model.safetensors").items())


def test_sealing_replaces_a_checkpoint_of_the_same_step(tmp_path: Path) -> None:
    for text in ("old", "new"):
        part = part_of(place_of(tmp_path, 3))
        part.mkdir()
        (part / "file").write_text(text)
        seal(part, place_of(tmp_path, 3))
    assert (place_of(tmp_path, 3) / "file").read_text() == "new"
    assert damage(place_of(tmp_path, 3)) is None
    assert last_good(tmp_path / "none") is None


# --- no room, no number, a signal, a second process ---


def test_no_room_for_a_checkpoint_loses_nothing(tmp_path: Path) -> None:
    first = start(tmp_path, "run", max_steps=4)
    finished(first)
    run = Run(tmp_path / "runs" / "run")
    size = (place_of(run.checkpoints, 4) / "model.safetensors").stat().st_size
    shutil.rmtree(run.folder)
    # optimizer.pt is twice as large as the weights: it is what no longer fits.
    process = start(tmp_path, "run", max_steps=8, limit_file_size=size + 10_000)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 2, said
    assert "checkpoint-4: expected room for a checkpoint" in said
    assert "`train` goes on with --resume, `quickstart` and `sweep` with the same command" in said
    assert "Traceback" not in said
    assert run.info().status == "stopped"
    assert list(run.checkpoints.iterdir()) == []
    finished(start(tmp_path, "run", "--resume", max_steps=8))
    assert sorted(path.name for path in run.checkpoints.iterdir()) == ["checkpoint-4", "checkpoint-8"]


def test_a_checkpoint_that_does_not_fit_leaves_the_earlier_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = DistillationTrainer._save_rng_state

    def full(self: DistillationTrainer, folder: str) -> None:
        if self.state.global_step == 8:
            raise OSError(28, "No space left on device")
        original(self, folder)

    monkeypatch.setattr(DistillationTrainer, "_save_rng_state", full)
    with pytest.raises(OutputError, match="No space left on device"):
        train(config(tmp_path, "run", max_steps=12))
    checkpoints = tmp_path / "runs" / "run" / "checkpoints"
    assert [path.name for path in checkpoints.iterdir()] == ["checkpoint-4"]
    assert damage(checkpoints / "checkpoint-4") is None
    monkeypatch.undo()
    assert train(config(tmp_path, "run"), resume=True).info().steps == 12


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_with_the_batchs_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    original = JointModel.forward
    calls: list[int] = []

    def forward(self: JointModel, **batch: Any) -> TokenLosses:
        losses = original(self, **batch)
        calls.append(1)
        # Two batches a step: the second one of step 7.
        return losses._replace(label_sum=losses.label_sum * value) if self.training and len(calls) == 14 else losses

    monkeypatch.setattr(JointModel, "forward", forward)
    seen: list[list[str]] = []
    original_loss = DistillationTrainer.compute_loss

    def compute_loss(self: DistillationTrainer, model: Any, inputs: dict[str, Any], *a: Any, **k: Any) -> Any:
        seen.append(inputs["ids"])
        return original_loss(self, model, inputs, *a, **k)

    monkeypatch.setattr(DistillationTrainer, "compute_loss", compute_loss)
    with pytest.raises(TrainingError) as raised:
        train(config(tmp_path, "run", eval_strategy="no"))
    message = str(raised.value)
    assert message.startswith("step 7: expected a loss that is a number, found NaN or infinity on the examples ")
    ids = {e.id for e in load("scenes:120", seed=42).examples}
    assert len(seen[12] + seen[13]) == 8
    for identity in seen[12] + seen[13]:
        assert identity in ids
        assert repr(identity) in message
    run = Run(tmp_path / "runs" / "run")
    assert [path.name for path in run.checkpoints.iterdir()] == ["checkpoint-4"]
    assert run.info().status == "stopped"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_run_that_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path, "run", max_steps=4000, save_steps=1000, eval_strategy="no", max_grad_norm=1.0)
    run = Run(tmp_path / "runs" / "run")
    wait_for(lambda: run.metrics.exists() and len(lines(run)) > 2, process)
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    assert "which is saved" in said
    assert "Traceback" not in said
    assert run.info().status == "stopped"
    [checkpoint] = run.checkpoints.iterdir()
    assert damage(checkpoint) is None
    step = int(checkpoint.name.removeprefix("checkpoint-"))
    assert f"stopped after step {step} of 4000" in said
    assert 10 <= step < 1000


def test_a_run_in_use_is_refused_to_others(tmp_path: Path) -> None:
    process = start(tmp_path, "run", max_steps=4000, eval_strategy="no")
    run = Run(tmp_path / "runs" / "run")
    wait_for(lambda: run.metrics.exists() and bool(lines(run)), process)
    with pytest.raises(OutputError, match=rf"found one that process {process.pid} on .* is training"):
        train(config(tmp_path, "run"), resume=True)
    [told] = list_runs(tmp_path / "runs")
    assert told["status"] == "running"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    [told] = list_runs(tmp_path / "runs")
    assert (told["name"], told["status"], told["problem"]) == ("run", "stopped", None)
    with run.locked():  # the system let go of it
        pass


# --- the log ---


def test_a_torn_log_is_mended(tmp_path: Path) -> None:
    run = Run(tmp_path)
    rows = [{"phase": "denoising", "step": 9}, {"phase": "joint", "step": 5}, {"phase": "joint", "step": 10}]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    run.metrics.write_text(text + '{"phase": "joint"}\n[1]\n{"phase": "joint", "st', encoding="utf-8")
    run.forget_after(5)
    assert logged(run) == rows[:2]


# --- runs ---


def test_runs_are_listed_with_what_is_wrong_with_broken_ones(trained: Run, tmp_path: Path) -> None:
    shutil.copytree(trained.folder, tmp_path / "good")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "run.json").write_text("{")
    (tmp_path / "no run").mkdir()
    results = tmp_path / "good" / "results" / "test"
    results.mkdir(parents=True)
    (results / "results.json").write_text("[]")
    told = {run["name"]: run for run in list_runs(tmp_path)}
    assert set(told) == {"good", "bad"}
    assert "expected a JSON object" in str(told["bad"]["problem"])
    assert "results.json" in str(told["good"]["problem"])
    shutil.rmtree(results)
    told = {run["name"]: run for run in list_runs(tmp_path)}
    assert told["good"]["status"] == "finished"
    assert told["good"]["steps"] == STEPS
    assert told["good"]["bytes"] > 100_000
    with pytest.raises(DataError, match="a folder of runs"):
        list_runs(tmp_path / "absent")


# --- no pickle ---


def test_predicting_reads_no_pickle(trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = load("scenes:120", split="test").examples[:4]  # `load` may keep nothing that pickle wrote

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a pickle was read")

    for module, name in ((pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (torch, "load")):
        monkeypatch.setattr(module, name, refuse)
    student = Student.load(trained.folder)
    predict_file(student, examples, tmp_path / "out.jsonl", facts={})
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 4


def test_weights_in_a_pickle_are_refused(trained: Run, tmp_path: Path) -> None:
    shutil.copytree(trained.student, tmp_path / "student")
    weights = load_file(tmp_path / "student" / "model.safetensors")
    (tmp_path / "student" / "model.safetensors").unlink()
    torch.save(weights, tmp_path / "student" / "pytorch_model.bin")
    with pytest.raises(CheckpointError):
        Student.load(tmp_path / "student")


# --- going on by the folder; one process ---


def test_a_run_goes_on_by_its_folder(run: Run, trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["reasondistill", "train", str(run.folder), "--resume"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, None)
    assert run.info().status == "finished"
    assert (
        load_file(run.student / "model.safetensors").keys() == load_file(trained.student / "model.safetensors").keys()
    )


def test_processes_that_do_not_know_where_to_meet_are_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"WORLD_SIZE: expected a launcher .* found 2 processes that do not know"):
        train(config(tmp_path, "run"))
    assert not (tmp_path / "runs").exists()
