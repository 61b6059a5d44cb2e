"""A run that fails before its first step frees its name; one that has made a step keeps all that it has."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny
from reasondistill.config import TrainConfig
from reasondistill.errors import DataError, OutputError, StoppedError
from reasondistill.runs import Run
from reasondistill.training.checkpoints import place_of
from reasondistill.training.stopping import StopOnSignal, TrainingError
from reasondistill.training.train import train
from reasondistill.training.trainer import DistillationTrainer
from test_survival_ends import at, config, cut_at, interrupted


def asked(folder: Path, more: dict[str, Any] | None = None, **training: Any) -> TrainConfig:
    return config(folder, "run", more, **{"max_steps": 4, "save_steps": 2, "eval_strategy": "no"} | training)


def not_a_number(trainer: DistillationTrainer) -> None:
    with torch.no_grad():
        next(iter(trainer.model.parameters())).fill_(float("nan"))


@pytest.mark.parametrize(
    ("what", "error"), [(not_a_number, TrainingError), (interrupted, KeyboardInterrupt)], ids=["NaN", "Ctrl-C"]
)
def test_the_corrected_command_runs_as_it_stands(tmp_path: Path, what: Any, error: type[BaseException]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        at(patch, 1, what)
        with pytest.raises(error):
            train(asked(tmp_path))
    assert not (tmp_path / "runs").exists()
    assert train(asked(tmp_path)).info().status == "finished"


def test_a_run_that_made_a_step_keeps_its_name(tmp_path: Path) -> None:
    """Also without a checkpoint: what its log holds may say why it failed."""
    cut_at(2, asked(tmp_path))
    run = Run(tmp_path / "runs" / "run")
    assert (run.info().status, run.info().stepped) == ("stopped", True)
    with pytest.raises(OutputError, match="--resume"):
        train(asked(tmp_path))
    assert train(asked(tmp_path), resume=True).info().steps == 4


def test_a_resumed_run_that_fails_at_once_keeps_its_checkpoints(tmp_path: Path) -> None:
    cut_at(4, asked(tmp_path))
    cut_at(3, asked(tmp_path), resume=True)
    run = Run(tmp_path / "runs" / "run")
    assert place_of(run.checkpoints, 2).is_dir()
    assert train(asked(tmp_path), resume=True).info().steps == 4


def test_a_run_that_was_killed_as_it_began_goes_on_with_resume(tmp_path: Path) -> None:
    run = Run.create(asked(tmp_path))  # as `train` does, right before the kill
    with pytest.raises(OutputError, match=r"stopped before its first step\. --resume begins it"):
        train(asked(tmp_path))
    assert train(asked(tmp_path), resume=True).info().status == "finished"
    assert run.info().steps == 4


def test_resuming_what_never_began_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a run folder to go on with.*Begin it: the same command without --resume"):
        train(asked(tmp_path), resume=True)
    assert not list(tmp_path.iterdir())


def test_denoised_parts_are_work_that_is_kept(tmp_path: Path) -> None:
    denoising = {"max_steps": 2, "per_device_train_batch_size": 8, "warmup_steps": 0}
    encoder = str(tiny.tiny_bert(tmp_path / "bert"))
    student = {"kind": "warm_start", "encoder": encoder, "num_decoder_layers": 1, "denoising": denoising}
    cut_at(1, asked(tmp_path, {"student": student}))
    assert (tmp_path / "runs" / "run" / "denoised").is_dir()


# --- signals ---


def test_a_sigterm_that_comes_twice_at_once_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a whole group of processes is ended, and a sweep passes its own on."""
    clock = [100.0]
    monkeypatch.setattr("reasondistill.training.stopping.time.monotonic", lambda: clock[0])
    stop = StopOnSignal()
    with stop.listening():
        os.kill(os.getpid(), signal.SIGTERM)
        clock[0] += 0.5
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.received == signal.SIGTERM
        clock[0] += 5
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)


def test_ctrl_c_twice_stops_at_once() -> None:
    stop = StopOnSignal()
    with stop.listening():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("times", [1, 2])
def test_a_signal_while_a_checkpoint_is_saved_leaves_whole_ones(tmp_path: Path, times: int) -> None:
    saved: list[int] = []
    original = DistillationTrainer._save_optimizer_and_scheduler

    def save(self: DistillationTrainer, folder: str) -> None:
        if self.state.global_step == 2 and not saved:
            saved.append(2)
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)
        original(self, folder)

    whole = train(config(tmp_path, "whole", max_steps=4, save_steps=2, eval_strategy="no"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DistillationTrainer, "_save_optimizer_and_scheduler", save)
        with pytest.raises(StoppedError if times == 1 else KeyboardInterrupt):
            train(asked(tmp_path))
    run = train(asked(tmp_path), resume=True)
    assert (run.student / "model.safetensors").read_bytes() == (whole.student / "model.safetensors").read_bytes()
    assert not list(run.checkpoints.glob(".*"))
