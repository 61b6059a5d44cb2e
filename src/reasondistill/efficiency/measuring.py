"""Measuring a student: its folder and examples -> `Efficiency`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from reasondistill.efficiency.energy import EnergyMeter, Unreadable, find_meter
from reasondistill.efficiency.engines import EngineCosts, costs_of
from reasondistill.efficiency.flops import flops_per_example
from reasondistill.efficiency.memory import measure_memory
from reasondistill.efficiency.schema import (
    Efficiency,
    EfficiencySettings,
    Hardware,
    Latency,
    Measured,
    Throughput,
    Trial,
)
from reasondistill.efficiency.timing import latency, timed_passes, trial
from reasondistill.errors import DataError
from reasondistill.prediction import Student
from reasondistill.records import Example
from reasondistill.results import DatasetInfo
from reasondistill.runs import find_student, hardware, versions

_WEIGHTS = (".safetensors", ".bin")


def measure(
    student: str | Path,
    examples: Sequence[Example],
    settings: EfficiencySettings | None = None,
    *,
    loaded: Student | None = None,
    dataset: DatasetInfo | None = None,
    progress: Callable[[str], None] = lambda stage: None,
) -> Efficiency:
    """Measure what a student costs on this machine, with this process's number of threads.

    Timings are as good as the machine is quiet: stop what else runs on it.

    Args:
        student: its folder, the run that made it, or ``builtin:scenes``.
        examples: the first of them are answered; their labels are not looked at.
        settings: how many, how often, at which batch sizes.
        loaded: the same student where it is in memory already, perhaps with another ``generation`` or device.
        dataset: what ``examples`` are, to be recorded.
        progress: called with each stage.

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

    progress("latency")
    times, one_by_one = _latency(who, chosen, settings, meter, missing)
    throughput = _throughput(who, costs, chosen, settings, meter, one_by_one, missing, progress)
    progress("FLOPs")
    flops = flops_per_example(who, costs, chosen)
    progress("memory, in processes of their own")
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
        missing["memory"] = "the system does not tell how much memory a process has"
    elif memory.rest_bytes is None:
        missing["memory.rest_bytes"] = "the system does not tell how much memory a process has at a given moment"
    for name, value in (("parameters", parameters), ("flops_per_example", flops)):
        if value is None:
            missing[name] = f"the engine {costs.name} does not tell"
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
        hardware=Hardware(**hardware(), threads=costs.threads),
        load_average=load_average,
        versions=versions(),
        settings=settings.model_copy(update={"examples": len(chosen)}),
        not_measured=missing,
    )


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
    missing: dict[str, str],
) -> tuple[Latency, Trial]:
    """The times of single answers, and what throughput they make."""
    for example in examples[: settings.warm_up]:
        student.predict([example])
        student.probabilities([example])
    answers = timed_passes(lambda e: student.predict([e]), examples, settings.repeats, meter)
    alone = []
    if student.order in ("label_first", "separate"):
        alone = timed_passes(lambda e: student.probabilities([e]), examples, settings.repeats)
    elif student.order == "label_only":
        alone = answers
    else:
        missing["latency_ms.label_only_p50"] = f"with the order {student.order} no label comes without an explanation"
    return latency(answers, alone), trial(1, len(examples), answers)


def _throughput(
    student: Student,
    costs: EngineCosts,
    examples: Sequence[Example],
    settings: EfficiencySettings,
    meter: EnergyMeter | None,
    one_by_one: Trial,
    missing: dict[str, str],
    progress: Callable[[str], None],
) -> Throughput:
    """Try every batch size on the same examples; ``one_by_one`` is what batches of one have given already."""
    tried = [one_by_one]
    for max_rows in sorted({size for size in settings.batch_sizes if 1 < size <= len(examples)}):
        engine = costs.limited(max_rows)
        if engine is None:
            missing["throughput.tried"] = f"the engine {costs.name} cannot be told how many examples to take at once"
            break
        progress(f"throughput, {max_rows} at once")
        batched = replace(student, engine=engine)
        batched.predict(examples[:max_rows])
        passes = timed_passes(batched.predict, [examples], settings.repeats, meter)
        tried.append(trial(max_rows, len(examples), passes))
    best = max(tried, key=lambda one: one.examples_per_second)
    return Throughput(
        examples_per_second=best.examples_per_second,
        spread=best.spread,
        max_rows=best.max_rows,
        max_tokens=costs.max_tokens,
        tried=tried,
    )
