"""Callbacks of the trainer: reports of its steps, and the best checkpoint's path."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from transformers import TrainerCallback

from reasondistill.training.progress import Progress, Watcher

_SHOWN_SCORES = ("label_accuracy", "explanation_loss")


class ProgressReports(TrainerCallback):  # type: ignore[misc]  # transformers is not followed by mypy
    """Tells a watcher of each step of a phase."""

    def __init__(self, phase: str, watcher: Watcher) -> None:
        self._watcher = watcher
        self._now = Progress(phase)
        self._begun = self._first = 0.0
        self._rows = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._begun = time.monotonic()
        self._first = state.global_step
        self._rows = args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size
        self._now = replace(self._now, done=state.global_step, total=state.max_steps)
        self._watcher(self._now)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        made, seconds = state.global_step - self._first, time.monotonic() - self._begun
        pace = seconds / made
        self._now = replace(
            self._now,
            done=state.global_step,
            rate=self._rows / pace if pace else None,
            seconds=seconds,
            left=pace * (state.max_steps - state.global_step),
        )
        self._watcher(self._now)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if logs and "loss" in logs:
            self._now = replace(self._now, loss=float(logs["loss"]))

    def validating(self) -> None:
        """Validation begins."""
        self._watcher(replace(self._now, validating=True))

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any) -> None:
        scores = {name: float(metrics[f"eval_{name}"]) for name in _SHOWN_SCORES if f"eval_{name}" in (metrics or {})}
        self._now = replace(self._now, scores={f"validation {name}": value for name, value in scores.items()})
        self._watcher(self._now)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        seconds = time.monotonic() - self._begun
        self._watcher(replace(self._now, done=state.global_step, seconds=seconds, left=None, ended=True))


class KeepBest(TrainerCallback):  # type: ignore[misc]  # transformers is not followed by mypy
    """Restore the path of the best checkpoint when resuming: transformers forgets one whose path has changed."""

    def __init__(self) -> None:
        self.best: str | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.best is not None:
            state.best_model_checkpoint = self.best
