"""How long an optimizer step takes, beside what `training.estimates` says before a training.

    python benchmarks/step_estimates.py
    python benchmarks/step_estimates.py --quick           # does it run? its figures say nothing

Students of random weights learn from rows of one length, on one core. Time is that of the processor, which other work
on the machine hardly changes; the matrix product is timed the same way, just before. Needs the extras `train` and
`offline`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from transformers import AutoModelForSeq2SeqLM

from reasondistill.config import TrainConfig
from reasondistill.training.estimates import (
    PASSES,
    TextSizes,
    forward_work,
    layer_seconds,
    model_config,
    shape_of,
    step_work,
)
from reasondistill.training.recipes import RECIPES


class Case(NamedTuple):
    student: str
    rows: int
    source: int
    target: int
    repeats: int


CASES = (
    Case("scratch", 64, 40, 20, 10),
    Case("minilm", 16, 40, 20, 10),
    Case("flan-t5-small", 8, 40, 20, 2),
    Case("flan-t5-small", 8, 120, 60, 2),
)


def processor_seconds(do: Callable[[], Any], repeats: int) -> float:
    do()
    started = time.process_time()
    for _ in range(repeats):
        do()
    return (time.process_time() - started) / repeats


def compared(case: Case) -> tuple[float, float]:
    """Estimated and measured seconds of a step."""
    config = TrainConfig.model_validate(
        {"name": "x", "data": {"train": {"source": "scenes"}}, "student": dict(RECIPES[case.student].student)}
    )
    shape = shape_of(config)
    settings = model_config(config.student)
    settings.decoder_start_token_id = settings.pad_token_id = 0
    model = AutoModelForSeq2SeqLM.from_config(settings).train()
    optimizer = torch.optim.AdamW(model.parameters())
    ids, labels = (torch.randint(5, 300, (case.rows, length)) for length in (case.source, case.target))

    def step() -> None:
        model(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    matrix = torch.ones(512, 512)
    speed = 2 * 512**3 / processor_seconds(lambda: matrix @ matrix, 15)
    sizes = TextSizes(case.source, case.target, case.source, case.target)
    work = step_work(shape, forward_work(shape, sizes), case.rows, 1)
    return work / speed + PASSES * shape.layers * layer_seconds("cpu"), processor_seconds(step, case.repeats)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one small case")
    quick = parser.parse_args(arguments).quick
    torch.set_num_threads(1)
    print("student, rows, tokens of prompt and target: estimated, measured")
    for case in [Case("scratch", 2, 8, 4, 1)] if quick else CASES:
        estimated, measured = compared(case)
        print(f"{case.student}, {case.rows}, {case.source} + {case.target}: {estimated:.2f} s, {measured:.2f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
