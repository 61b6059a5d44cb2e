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
    Flops,
    Latency,
    Measured,
    Memory,
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
"""The share of the budget for one pass over single answers: there are three, and as many of labels and of batches."""
_FLOPS_COST = 2
"""Counting an answer's operations takes at most this many times as long as the answer."""
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

    Timings are only as good as the machine is idle: stop whatever else runs on it.

    Args:
        student: its folder, the run that made it, or ``builtin:scenes``.
        examples: the first ``settings.examples`` are answered; their labels are not used.
        settings: how many examples, how many repeats, which batch sizes.
        loaded: the same student if it is in memory already, perhaps with another ``generation`` or device.
        dataset: what ``examples`` are, for the record.
        budget: seconds for all measurements; None for no limit. The first pass over the examples ends after a tenth
            of it, and steps that would take longer than what is left are skipped: larger batches, FLOPs, memory.
            ``settings.examples`` records how many examples were answered, ``not_measured`` what was skipped. At least
            one example is answered and timed, however long that takes.
        progress: called with each stage, and how much of the budget is left.
        clock: returns seconds.

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
    plan = _Plan(Budget(budget, clock), {}, progress)
    return _measure_within(plan, who, costs, folder, chosen, settings).model_copy(update={"dataset": dataset})


def _measure_within(
    plan: _Plan, who: Student, costs: EngineCosts, folder: Path, chosen: list[Example], settings: EfficiencySettings
) -> Efficiency:
    meter = _meter(costs, plan.missing)
    load_average = os.getloadavg()[0] if hasattr(os, "getloadavg") else None

    plan.tell("latency")
    times, one_by_one, n = _latency(who, chosen, settings, meter, plan)
    if n < len(chosen):
        plan.missing["examples"] = f"{plan.reason}: {n:,} of {len(chosen):,} were answered"
        chosen = chosen[:n]
    plan.each = 1 / one_by_one.examples_per_second
    throughput = _throughput(who, costs, chosen, settings, meter, one_by_one, plan)
    flops = _flops(who, costs, chosen, plan)
    memory = _memory(folder, who, costs, chosen, throughput.max_rows, plan)
    parameters = costs.parameters()
    for name, value in (("parameters", parameters), ("flops_per_example", flops)):
        if value is None:
            plan.missing.setdefault(name, f"the engine {costs.name} does not report it")
    best = next(run for run in throughput.tried if run.max_rows == throughput.max_rows)
    checkpoint_bytes, weights_bytes = folder_bytes(folder)
    return Efficiency(
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
        not_measured=plan.missing,
    )


@dataclass
class _Plan:
    """The budget, and what is skipped for which reason. ``each``: seconds that a single answer takes."""

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
        """Whether there is time for this many single answers; if not, ``figure`` is recorded as missing."""
        if answers * self.each <= self.budget.left:
            return True
        self.missing[figure] = f"{self.reason} did not allow it"
        return False


def _flops(student: Student, costs: EngineCosts, examples: Sequence[Example], plan: _Plan) -> Flops | None:
    if not plan.fits(_FLOPS_COST * len(examples), "flops_per_example"):
        return None
    plan.tell("FLOPs")
    return flops_per_example(student, costs, examples)


def _memory(
    folder: Path, student: Student, costs: EngineCosts, examples: Sequence[Example], max_rows: int, plan: _Plan
) -> Memory | None:
    """The memory of processes that answer alone and in the best batches; what is not known goes to ``plan.missing``."""
    memory = None
    if plan.fits(2 * len(examples), "memory"):
        plan.tell("memory, in processes of their own")
        memory = measure_memory(
            folder,
            examples,
            max_rows=max_rows,
            generation=student.generation,
            device=costs.device,
            threads=costs.threads,
        )
    if memory is None:
        plan.missing.setdefault("memory", "the system does not report how much memory a process has")
    elif memory.rest_bytes is None:
        plan.missing["memory.rest_bytes"] = "the system does not report a process's memory at a given moment"
    return memory


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
    """Times of single answers, the throughput that they amount to, and how many examples were answered."""
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
    if student.task.writes_answers:
        plan.missing[figure] = "an answer is written, not chosen, and was not timed apart from its explanation"
    elif student.order in ("label_first", "separate"):
        if plan.fits(settings.repeats * n, figure):  # a label alone takes no longer than a whole answer
            alone = timed_passes(lambda e: student.probabilities([e]), examples[:n], settings.repeats, clock=clock)
    elif student.order == "label_only":
        alone = answers
    else:
        plan.missing[figure] = f"with the order {student.order} a label needs an explanation first"
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
    """Try every batch size on the same examples; ``one_by_one`` is the result for batches of one."""
    tried = [one_by_one]
    n = len(examples)
    for max_rows in sorted({size for size in settings.batch_sizes if 1 < size <= n}):
        engine = costs.limited(max_rows)
        if engine is None:
            plan.missing["throughput.tried"] = (
                f"the engine {costs.name} takes no limit on how many examples it computes at once"
            )
            break
        # Assumes the speed of the previous batch size, and keeps time for FLOPs and memory.
        seconds = (max_rows + settings.repeats * n) / tried[-1].examples_per_second
        if seconds > plan.budget.left - (_FLOPS_COST + 2) * n * plan.each:
            plan.missing["throughput.tried"] = f"{plan.reason} did not allow {max_rows} at once and more"
            break
        plan.tell(f"throughput, {max_rows} at once")
        batched = replace(student, engine=engine)
        batched.predict(examples[:max_rows])
        passes = timed_passes(batched.predict, [examples], settings.repeats, meter, plan.budget.clock)
        tried.append(trial(max_rows, n, passes))
    best = max(tried, key=lambda run: run.examples_per_second)
    return Throughput(
        examples_per_second=best.examples_per_second,
        spread=best.spread,
        max_rows=best.max_rows,
        max_tokens=costs.max_tokens,
        tried=tried,
    )
