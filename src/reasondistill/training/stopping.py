"""Stop training early and cleanly: on Ctrl-C or SIGTERM, and on a NaN loss."""

from __future__ import annotations

import signal
import sys
import time
from contextlib import AbstractContextManager
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback

from reasondistill.errors import StoppedError, UserError
from reasondistill.training.checkpoints import GO_ON
from reasondistill.training.process_group import current
from reasondistill.training.signals import handled_by

_SAME = 2.0
"""Seconds in which a second SIGTERM is taken for the first: nobody's hand is so quick to ask twice."""


class TrainingError(UserError):
    """A training cannot go on."""


class StopOnSignal(TrainerCallback):  # type: ignore[misc]  # transformers is not followed by mypy
    """Finishes the step, saves a checkpoint and leaves once a signal has come; a second one leaves at once.

    A training is left by an exception and not by ``should_training_stop``: transformers would take that for its end,
    evaluate in the middle of an epoch, and tidy up checkpoints. Of several processes, all leave at the same step,
    whichever of them the signal came to.
    """

    def __init__(self) -> None:
        self.received = 0
        self._processes = current()
        self._first = 0.0
        self._put_off = self.leaving = False

    def listening(self) -> AbstractContextManager[None]:
        """Take signals for as long as this lasts. Only a main thread can; elsewhere nothing changes."""
        return handled_by(self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.received:
            passed_on = number == signal.SIGTERM or self._processes.count > 1
            if passed_on and number == self.received and now - self._first < _SAME:
                return  # whoever ends a whole group of processes sends it to each; sweeps and launchers pass it on
            raise KeyboardInterrupt
        self.received, self._first = number, now
        if not self._processes.first:
            return
        print(
            f"\n{signal.Signals(number).name}: finishing this step and saving a checkpoint; once more stops at once",
            file=sys.stderr,
        )

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        self.received = self._processes.largest(self.received)
        if control.should_training_stop or float(state.epoch).is_integer():
            # What is logged and evaluated at an epoch's end comes after this: a run that went on from a checkpoint
            # without it would never do it.
            self._put_off, control.should_save = control.should_save, False
        elif self.received:
            control.should_save = self.leaving = True
        return control

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        control.should_save |= self._put_off
        self._put_off = False
        self.received = self._processes.largest(self.received)
        if self.received and not control.should_training_stop:
            control.should_save = self.leaving = True
        return control

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.leaving and not control.should_training_stop:  # early stopping may just have ended it
            raise StoppedError(f"stopped after step {state.global_step} of {state.max_steps}, which is saved")


class FiniteWatch:
    """Finds the first optimizer step with a NaN or infinite loss or gradient, and names its examples.

    Flags stay on the device until somebody asks: a look at each step would make an accelerator wait.
    """

    def __init__(self) -> None:
        self._steps: list[tuple[int, list[str], list[Tensor]]] = []
        self._gradients: dict[int, Tensor] = {}

    def add(self, step: int, ids: list[str], loss: Tensor) -> None:
        """Note a batch of the optimizer step after ``step`` finished ones."""
        if not self._steps or self._steps[-1][0] != step + 1:
            self._steps.append((step + 1, [], []))
        self._steps[-1][1].extend(ids)
        self._steps[-1][2].append(~torch.isfinite(loss.detach()))

    def add_gradient(self, norm: Tensor | float | None) -> None:
        """Note the gradient of the step whose batches were added last."""
        if norm is not None and self._steps:
            self._gradients[self._steps[-1][0]] = ~torch.isfinite(torch.as_tensor(norm).detach())

    def check(self) -> None:
        """Look at all that was noted since the last look.

        Raises:
            TrainingError: a loss or a gradient is NaN or infinite.
        """
        steps, self._steps = self._steps, []
        gradients, self._gradients = self._gradients, {}
        for number, ids, flags in steps:
            if bool(torch.stack(flags).any()):
                raise _no_number("loss", number, ids)
            if number in gradients and bool(gradients[number]):
                raise _no_number("gradient", number, ids)


def _no_number(what: str, step: int, ids: list[str]) -> TrainingError:
    shown = ", ".join(map(repr, dict.fromkeys(ids)))
    return TrainingError(
        f"step {step}",
        expected=f"a {what} that is a number",
        found=f"NaN or infinity on the examples {shown}",
        fix="Look at them (data audit), or lower training.learning_rate, raise warmup_steps, and train in bf16 or fp32 "
        f"instead of fp16. Nothing was saved after this step; a run goes on from its last checkpoint ({GO_ON}).",
    )
