"""Ending a training early in good order: on Ctrl-C or SIGTERM, and on a loss that is no number."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback

from reasondistill.errors import UserError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class TrainingError(UserError):
    """A training cannot go on."""


class StopOnSignal(TrainerCallback):  # type: ignore[misc]  # transformers is not followed by mypy
    """Finishes the step, saves a checkpoint and ends the training once a signal has come; a second one ends at once."""

    def __init__(self) -> None:
        self.received = 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take signals for as long as this lasts. Only a main thread can; elsewhere nothing changes."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._receive) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            raise KeyboardInterrupt
        self.received = number
        print(
            f"\n{signal.Signals(number).name}: finishing this step and saving a checkpoint; once more stops at once",
            file=sys.stderr,
        )

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        if self.received and state.global_step < state.max_steps:
            control.should_save = control.should_training_stop = True
        return control


class FiniteWatch:
    """Finds the first optimizer step whose loss or gradient is no number, and names its examples.

    Flags stay on the device until somebody asks: a look at each step would make an accelerator wait.
    """

    def __init__(self) -> None:
        self._steps: list[tuple[int, list[str], list[Tensor]]] = []

    def add(self, step: int, ids: list[str], loss: Tensor) -> None:
        """Note a batch of the optimizer step after ``step`` finished ones."""
        if not self._steps or self._steps[-1][0] != step + 1:
            self._steps.append((step + 1, [], []))
        self._steps[-1][1].extend(ids)
        self._steps[-1][2].append(~torch.isfinite(loss.detach()))

    def check(self, grad_norm: Tensor | float | None) -> None:
        """Look at all that was noted since the last look.

        Raises:
            TrainingError: a loss, or the last step's gradient, is no number.
        """
        steps, self._steps = self._steps, []
        for number, ids, flags in steps:
            if bool(torch.stack(flags).any()):
                raise _no_number("loss", number, ids)
        if grad_norm is not None and steps and not bool(torch.isfinite(torch.as_tensor(grad_norm))):
            raise _no_number("gradient", steps[-1][0], steps[-1][1])


def _no_number(what: str, step: int, ids: list[str]) -> TrainingError:
    shown = ", ".join(map(repr, dict.fromkeys(ids)))
    return TrainingError(
        f"step {step}",
        expected=f"a {what} that is a number",
        found=f"NaN or infinity on the examples {shown}",
        fix="Look at them (data audit), or lower training.learning_rate, raise warmup_steps, and train in bf16 or fp32 "
        "instead of fp16. Nothing was saved after this step; --resume goes on from the last checkpoint.",
    )
