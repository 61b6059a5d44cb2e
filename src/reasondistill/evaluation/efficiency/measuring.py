"""Measuring a student: its folder and examples -> `Efficiency`."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reasondistill.contracts.base import DatasetInfo
from reasondistill.contracts.efficiency import (
    Efficiency,
    EfficiencySettings,
    Latency,
    Measured,
    Throughput,
    Trial,
)
from reasondistill.contracts.records import Example
from reasondistill.errors import DataError
from reasondistill.evaluation.budget import BUDGET, BUDGET_CUT, Budget
from reasondistill.evaluation.efficiency.energy import EnergyMeter, Unreadable, find_meter
from reasondistill.evaluation.efficiency.engine_costs import EngineCosts, costs_of
from reasondistill.evaluation.efficiency.flops import flops_per_example
from reasondistill.evaluation.efficiency.memory import measure_memory
from reasondistill.evaluation.efficiency.timing import latency, timed_passes, trial
from reasondistill.runs import find_student, hardware, versions
from reasondistill.students.student import Student

_FIRST_PASS = 0.1
"""The share of the budget that a pass over single answers may take: three of them, as many of labels and batches."""
_FLOPS_COST = 2
"""How many times as long as an answer one takes whose operations are counted, at most."""
_WEIGHTS = (".safetensors", ".bin")


def measure(
    student: str | Path,
    examples: Sequence[Example],
    settings: EfficiencySettings | None = None,
    *,
    loaded: Student | None = None,
    dataset: DatasetInfo | None = None,
    budget: float | None = BUDGET,
    progress: Callable[[str], None] = lambda stage: None,
    clock: Callable[[], float] = time.perf_counter,
) -> Efficiency:
    """Measure what a student costs on this machine, with this process's number of threads.

    Timings are as good as the machine is quiet: stop what else runs on it.

    Args:
        student: its folder, the run that made it, or ``builtin:scenes``.
        examples: the first of them are answered; their labels are not looked at.
        settings: how many, how often, at which batch sizes.
        loaded: the same student where it is in memory already, perhaps with another ``generation`` or device.
        dataset: what ``examples`` are, to be recorded.
        budget: seconds that all of it may take; None has no end. The first pass over the examples ends when it has
            taken a tenth of them, and what would take more than is left is not done: larger batches, FLOPs, memory.
            ``settings.examples`` tells how many examples were answered, ``not_measured`` what was left out. One
            example is answered and timed however long that takes.
        progress: called with each stage, and how much of the budget is left.
        clock: tells seconds.

    Raises:
        CheckpointError: there is no such student, or the process that loads it to measure its memory died.
        DataError: there are no examples.
        MissingExtraError: PyTorch or transformers is not installed.
    """
    settings = settings or EfficiencySettings()
    chosen = list(examples[: settings.examples])
    if not chosen:
        raise DataError("efficiency", expected="examples to answer", found="none")
    folder = find_student(student)
    who = loaded or Student.load(folder)
    costs = costs_of(who.engine)
    missing: dict[str, str] = {}
    meter = _meter(costs, missing)
    load_average = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    plan = _Plan(Budget(budget, clock), missing, progress)

    plan.tell("latency")
    times, one_by_one, n = _latency(who, chosen, settings, meter, plan)
    if n < len(chosen):
        missing["examples"] = f"{plan.reason}: {n:,} of {len(chosen):,} were answered"
        chosen = chosen[:n]
    plan.each = 1 / one_by_one.examples_per_second
    throughput = _throughput(who, costs, chosen, settings, meter, one_by_one, plan)
    flops = None
    if plan.fits(_FLOPS_COST * n, "flops_per_example"):
        plan.tell("FLOPs")
        flops = flops_per_example(who, costs, chosen)
    memory = None
    if plan.fits(2 * n, "memory"):
        plan.tell("memory, in processes of their own")
        memory = measure_memory(
            folder,
            chosen,
            max_rows=throughput.max_rows,
            generation=who.generation,
            device=costs.device,
            threads=costs.threads,
        )
    parameters = costs.parameters()
    if memory is None:
        missing.setdefault("memory", "the system does not tell how much memory a process has")
    elif memory.rest_bytes is None:
        missing["memory.rest_bytes"] = "the system does not tell how much memory a process has at a given moment"
    for name, value in (("parameters", parameters), ("flops_per_example", flops)):
        if value is None:
            missing.setdefault(name, f"the engine {costs.name} does not tell")
    best = next(one for one in throughput.tried if one.max_rows == throughput.max_rows)
    checkpoint_bytes, weights_bytes = folder_bytes(folder)
    return Efficiency(
        dataset=dataset,
        measured=_measured(who, costs),
        parameters=parameters,
        checkpoint_bytes=checkpoint_bytes,
        weights_bytes=weights_bytes,
        memory=memory,
        latency_ms=times,
        throughput=throughput,
        flops_per_example=flops,
        energy_joules_per_example=best.joules_per_example,
        energy_counters=meter.names if meter is not None else [],
        hardware=hardware().model_copy(update={"threads": costs.threads}),
        load_average=load_average,
        versions=versions(),
        settings=settings.model_copy(update={"examples": len(chosen)}),
        not_measured=missing,
    )


@dataclass
class _Plan:
    """What is done within a budget, and what is left out and why. ``each``: seconds that a single answer takes."""

    budget: Budget
    missing: dict[str, str]
    progress: Callable[[str], None]
    each: float = 0.0

    @property
    def reason(self) -> str:
        return f"{BUDGET_CUT} {self.budget}"

    def tell(self, stage: str) -> None:
        left = "" if self.budget.seconds is None else f", {self.budget.spoken_left} left"
        self.progress(f"{stage}{left}")

    def fits(self, answers: float, figure: str) -> bool:
        """Whether there is time for so many single answers; if not, ``figure`` is missing."""
        if answers * self.each <= self.budget.left:
            return True
        self.missing[figure] = f"{self.reason} did not allow it"
        return False


def folder_bytes(folder: Path) -> tuple[int, int]:
    """Bytes of all files in a student's folder, and of those that hold weights."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    sizes = {path: path.stat().st_size for path in files}
    return sum(sizes.values()), sum(size for path, size in sizes.items() if path.suffix in _WEIGHTS)


def _measured(student: Student, costs: EngineCosts) -> Measured:
    return Measured(
        student=student.fingerprint,
        engine=costs.name,
        precision=costs.precision,
        device=costs.device,
        order=student.order,
        num_beams=student.generation.num_beams,
        max_new_tokens=student.generation.max_new_tokens,
    )


def _meter(costs: EngineCosts, missing: dict[str, str]) -> EnergyMeter | None:
    try:
        return find_meter(costs.device)
    except Unreadable as error:
        missing["energy_joules_per_example"] = str(error)
        return None


def _latency(
    student: Student,
    examples: Sequence[Example],
    settings: EfficiencySettings,
    meter: EnergyMeter | None,
    plan: _Plan,
) -> tuple[Latency, Trial, int]:
    """The times of single answers, what throughput they make, and how many examples were answered."""
    clock, most = plan.budget.clock, _FIRST_PASS * plan.budget.left
    begun = clock()
    for example in examples[: settings.warm_up]:
        student.predict([example])
        student.probabilities([example])
        if clock() - begun >= most:
            break
    answers = timed_passes(lambda e: student.predict([e]), examples, settings.repeats, meter, clock, most)
    n = len(answers[0].seconds)
    alone = []
    figure = "latency_ms.label_only_p50"
    plan.each = statistics.median(answers[0].seconds)
    if student.order in ("label_first", "separate"):
        if plan.fits(settings.repeats * n, figure):  # a label alone takes no longer than a whole answer
            alone = timed_passes(lambda e: student.probabilities([e]), examples[:n], settings.repeats, clock=clock)
    elif student.order == "label_only":
        alone = answers
    else:
        plan.missing[figure] = f"with the order {student.order} no label comes without an explanation"
    return latency(answers, alone), trial(1, n, answers), n


def _throughput(
    student: Student,
    costs: EngineCosts,
    examples: Sequence[Example],
    settings: EfficiencySettings,
    meter: EnergyMeter | None,
    one_by_one: Trial,
    plan: _Plan,
) -> Throughput:
    """Try every batch size on the same examples; ``one_by_one`` is what batches of one have given already."""
    tried = [one_by_one]
    n = len(examples)
    for max_rows in sorted({size for size in settings.batch_sizes if 1 < size <= n}):
        engine = costs.limited(max_rows)
        if engine is None:
            plan.missing["throughput.tried"] = (
                f"the engine {costs.name} cannot be told how many examples to take at once"
            )
            break
        # As if it took as long as the batches before; FLOPs and memory are to have their time after it.
        seconds = (max_rows + settings.repeats * n) / tried[-1].examples_per_second
        if seconds > plan.budget.left - (_FLOPS_COST + 2) * n * plan.each:
            plan.missing["throughput.tried"] = f"{plan.reason} did not allow {max_rows} at once and more"
            break
        plan.tell(f"throughput, {max_rows} at once")
        batched = replace(student, engine=engine)
        batched.predict(examples[:max_rows])
        passes = timed_passes(batched.predict, [examples], settings.repeats, meter, plan.budget.clock)
        tried.append(trial(max_rows, n, passes))
    best = max(tried, key=lambda one: one.examples_per_second)
    return Throughput(
        examples_per_second=best.examples_per_second,
        spread=best.spread,
        max_rows=best.max_rows,
        max_tokens=costs.max_tokens,
        tried=tried,
    )
