"""One contender of `training_speed.py` in a process of its own, which takes steps when it is told to.

    python benchmarks/training_child.py REQUEST.json

It reads words from standard input and answers each with one line of JSON:

    steps N    take N optimizer steps: seconds of the clock and of the processor, page faults, examples, tokens, and
               cells, which are the places that encoder and decoder computed, padding among them
    flops N    take N steps and count their floating-point operations
    finish     train to the end, answer the rows of the request's ``test`` and write ``predictions.jsonl``
    peak       the most memory that this process ever had, in bytes
    end        stop

What is timed goes from the end of one step to the end of another: batches, forward and backward pass, clipping,
optimizer and schedule, all as `Trainer.train` does them.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, set_seed

from reasondistill.config import Generation
from reasondistill.contracts.records import Example, Prediction, read_examples, write_records
from reasondistill.evaluation.efficiency.process import peak_resident_bytes
from reasondistill.evaluation.efficiency.torch_costs import flop_counter
from reasondistill.storage.files import read_json
from reasondistill.students.engines import answer
from reasondistill.students.engines.pytorch import TorchEngine
from recipes import Contender, Plan, Seen, build


class Pacer(TrainerCallback):  # type: ignore[misc]
    """Stops at the end of a step until there is something to do, and tells what it took."""

    def __init__(self, contender: Contender, answers: Any) -> None:
        self.contender = contender
        self.answers = answers
        self.seen = Seen()
        self.cells = 0
        self.left = 0
        self.begun: tuple[float, float, int] | None = None
        self.counting: ExitStack | None = None
        self.counter: Any = None
        step = contender.trainer.training_step

        def counted(model: Any, inputs: dict[str, Any], *rest: Any) -> Any:
            self.seen = self.seen.plus(contender.seen(inputs))
            return step(model, inputs, *rest)

        def places(module: Any, positional: Any, given: dict[str, Any]) -> None:
            if module.training:
                self.cells += given["input_ids"].numel()

        contender.trainer.training_step = counted
        model = student_of(contender)
        for side in (model.get_encoder(), model.get_decoder()):  # what they compute, however a batch was padded
            side.register_forward_pre_hook(places, with_kwargs=True)
        contender.trainer.add_callback(self)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._await()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.left -= 1
        if self.left == 0:
            self.answer(self.figures())
            self._await()

    def _await(self) -> None:
        """Answer until steps are asked for, or the end."""
        for line in sys.stdin:
            word, *number = line.split()
            if word == "peak":
                self.answer({"peak_bytes": peak_resident_bytes()})
                continue
            if word == "end":
                break
            self.left, self.seen, self.cells = int(number[0]) if number else -1, Seen(), 0
            if word == "flops":
                self.counting = ExitStack()
                self.counter = self.counting.enter_context(flop_counter())
            self.begun = time.perf_counter(), time.process_time(), _faults()
            return
        sys.exit()

    def figures(self) -> dict[str, Any]:
        assert self.begun is not None
        clock, processor, faults = self.begun
        figures = {
            "clock": time.perf_counter() - clock,
            "processor": time.process_time() - processor,
            "page_faults": _faults() - faults,
            **self.seen._asdict(),
            "cells": self.cells,
        }
        if self.counting is not None:
            self.counting.close()
            self.counting = None
            figures["flops"] = self.counter.get_total_flops()
        return figures

    def answer(self, figures: dict[str, Any]) -> None:
        print(json.dumps(figures), file=self.answers, flush=True)


def student_of(contender: Contender) -> Any:
    """The encoder-decoder inside what is trained."""
    return getattr(contender.trainer.model, "student", contender.trainer.model)


def _faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def main(request_file: Path) -> None:
    # What libraries print goes to the error stream: standard output is for answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    request = read_json(request_file)
    torch.set_num_threads(request["threads"])
    set_seed(request["seed"])
    plan = Plan(**request["plan"])
    contender = build(request["contender"], plan, list(read_examples(request["examples"])), Path(request["folder"]))
    pacer = Pacer(contender, answers)
    contender.trainer.train()
    pacer.answer(pacer.figures())  # it was asked to finish, or it would still be waiting
    predict(contender, read_examples(request["test"]), Path(request["folder"]) / "predictions.jsonl")


def predict(contender: Contender, examples: Iterable[Example], out: Path) -> None:
    """Write what the trained model says, all contenders by the same rules."""
    rows = list(examples)
    model = student_of(contender)
    greedy = Generation(num_beams=1, repetition_penalty=1.0, length_penalty=1.0, max_new_tokens=40)
    answers = answer(TorchEngine(model, contender.codec), contender.task, contender.order, rows, greedy)
    write_records(
        out,
        [
            Prediction(
                id=e.id, label=a.label, probabilities=a.probabilities, explanation=a.explanation, truncated=a.truncated
            )
            for e, a in zip(rows, answers, strict=True)
        ],
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
