"""What a student costs, in a report: every figure with its unit, and the machine that it was measured on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from reasondistill.contracts.efficiency import Efficiency, Throughput, Trial
from reasondistill.contracts.results import Results
from reasondistill.reporting.document import Block, Cell, Facts, Table
from reasondistill.reporting.formatting import size
from reasondistill.reporting.inputs import Source

NONE: Final = "–"
BUSY: Final = 0.5
"""From this load average on a machine is called busy."""


def efficiency_blocks(results: Results) -> list[Block]:
    """The section of results that hold an efficiency; else nothing."""
    return [] if results.efficiency is None else blocks(results.efficiency)


def blocks(efficiency: Efficiency) -> list[Block]:
    """Figures, batch sizes, the machine, and what was not measured."""
    shown: list[Block] = [_figures(efficiency), _batches(efficiency), Facts("Measured on", tuple(_machine(efficiency)))]
    return [*shown, Facts("Not measured", tuple(efficiency.not_measured.items()))] if efficiency.not_measured else shown


def compared(sources: Sequence[Source]) -> Table | None:
    """The cost of several systems side by side, those that have one."""
    having = [(s.name, e) for s in sources if s.main is not None and (e := s.main.results.efficiency) is not None]
    if not having:
        return None
    rows = []
    for name, e in having:
        memory = NONE if e.memory is None else size(e.memory.peak_bytes)
        rows.append(
            (
                Cell(name),
                Cell(NONE if e.parameters is None else f"{e.parameters.total:,}"),
                Cell(size(e.checkpoint_bytes)),
                Cell(memory),
                Cell(_number(e.latency_ms.p50), f"95%: {_number(e.latency_ms.p95)}"),
                Cell(_number(e.throughput.examples_per_second), _spread(e.throughput)),
                Cell(NONE if e.flops_per_example is None else _number(e.flops_per_example.total / 1e9)),
            )
        )
    machines = {e.hardware.model_dump_json() for _, e in having}
    unlike = "Measured on different machines or numbers of threads: memory, latency and throughput cannot be compared."
    note = unlike if len(machines) > 1 else ""
    head = ("System", "Parameters", "On disk", "Peak memory", "Latency, ms", "Examples/s", "GFLOPs/example")
    return Table("What they cost", head, tuple(rows), note=note)


def _figures(e: Efficiency) -> Table:
    rows: list[tuple[str, str, str]] = []
    if (p := e.parameters) is not None:
        detail = f"{p.embedding:,} embedding and head, {p.rest:,} rest; {p.trainable:,} trainable"
        rows.append(("Parameters", f"{p.total:,}", detail))
    rows.append(("Size on disk", size(e.checkpoint_bytes), f"{size(e.weights_bytes)} of it weights"))
    if (m := e.memory) is not None:
        at_rest = NONE if m.rest_bytes is None else size(m.rest_bytes)
        process = "" if m.loaded_bytes is None else f"the process with libraries: {size(m.loaded_bytes)}"
        rows.append(("Memory at rest", at_rest, process))
        many = f"at most {e.throughput.max_rows} at once: {size(m.peak_at_best_batch_bytes)}"
        rows.append(("Peak memory of the process", size(m.peak_bytes), many))
        if (a := m.accelerator) is not None:
            detail = f"peak {size(a.peak_bytes)}, at the best batch {size(a.peak_at_best_batch_bytes)}"
            rows.append(("Accelerator's memory at rest", size(a.rest_bytes), detail))
    t = e.latency_ms
    tail = f"90%: {_number(t.p90)}, 95%: {_number(t.p95)}, 99%: {_number(t.p99)}, mean: {_number(t.mean)}"
    rows.append(("Latency of an answer, median", f"{_number(t.p50)} ms", f"{tail}; {t.n:,} answers, one at a time"))
    if t.label_only_p50 is not None:
        rows.append(("Latency of a label alone, median", f"{_number(t.label_only_p50)} ms", ""))
    many = f"{_spread(e.throughput)} in {e.settings.repeats} repeats, at most {e.throughput.max_rows} at once"
    rows.append(("Throughput", f"{_number(e.throughput.examples_per_second)} examples/s", many))
    if (f := e.flops_per_example) is not None:
        detail = f"label {_number(f.label / 1e9)}, explanation {_number(f.explanation / 1e9)}; of {f.examples} examples"
        rows.append(("FLOPs of an answer, mean", f"{_number(f.total / 1e9)} GFLOPs", detail))
    if e.energy_joules_per_example is not None:
        counters = ", ".join(e.energy_counters)
        rows.append(("Energy of an answer", f"{_number(e.energy_joules_per_example)} J", f"all of {counters}"))
    cells = tuple((Cell(name), Cell(value, detail)) for name, value, detail in rows)
    return Table("What it costs", ("", "Value"), cells, note=_note(e))


def _note(e: Efficiency) -> str:
    if e.load_average is None or e.load_average < BUSY:
        return ""
    return (
        f"The machine was busy: a load average of {e.load_average:.1f} before the measurement. "
        "Latency, throughput and energy are worse than on an idle one."
    )


def _batches(e: Efficiency) -> Table:
    with_energy = any(trial.joules_per_example is not None for trial in e.throughput.tried)
    rows = []
    for trial in e.throughput.tried:
        cells = [Cell(str(trial.max_rows)), Cell(_number(trial.examples_per_second), _spread(trial))]
        if with_energy:
            cells.append(Cell(NONE if trial.joules_per_example is None else _number(trial.joules_per_example)))
        rows.append(tuple(cells))
    head = ("At most at once", "Examples/s", *(("J/example",) if with_energy else ()))
    note = f"Median of {e.settings.repeats} repeats, with the slowest and the fastest."
    return Table("Throughput by batch size", head, tuple(rows), note=note)


def _machine(e: Efficiency) -> Iterator[tuple[str, str]]:
    h = e.hardware
    cores = f", {h.cores} cores" if h.cores is not None else ""
    threads = f", {h.threads} used at once" if h.threads is not None else ""
    yield "Processor", f"{h.cpu}{cores}{threads}"
    if h.memory_gib is not None:
        yield "Memory", f"{h.memory_gib:.1f} GiB"
    yield "Accelerator", h.accelerator or "none"
    where = f" on {e.measured.device}" if e.measured.device else ""
    yield "Engine", f"{e.measured.engine}{where}, {e.measured.precision or 'unknown precision'}"
    yield "Explanations", f"beams {e.measured.num_beams}, at most {e.measured.max_new_tokens} tokens"
    limit = f", at most {e.throughput.max_tokens:,} prompt tokens a batch" if e.throughput.max_tokens else ""
    yield "Examples", f"{e.settings.examples:,}, {e.settings.warm_up} answered before{limit}"
    yield "Versions", ", ".join(f"{name} {e.versions[name]}" for name in _SHOWN_VERSIONS if name in e.versions)


_SHOWN_VERSIONS: Final = ("reasondistill", "python", "torch", "transformers")


def _spread(rate: Throughput | Trial) -> str:
    return "–".join(_number(bound) for bound in rate.spread)


def _number(value: float) -> str:
    """Three significant digits, and no fewer than all before the point."""
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 1 else f"{value:.3g}"
