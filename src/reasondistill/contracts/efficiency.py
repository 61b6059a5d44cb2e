"""The form of what is measured of a student's cost: ``efficiency`` in results.json, and a file of its own.

What the figures mean and how far they can be trusted: docs/metrics.md. A figure that was not measured is None, and
``not_measured`` says why.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from reasondistill.contracts.base import Block, Count, DatasetInfo, Versioned
from reasondistill.contracts.records import OutputOrder

OneOrMore = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class EfficiencySettings(Block):
    """How to measure.

    ``examples``: at most so many, the first ones; recorded is how many there were. ``warm_up``: so many of them are
    answered first, untimed. ``repeats``: how often all are answered at each batch size. ``batch_sizes``: at most so
    many examples at once; those beyond the number of examples are left out, and 1 is always among them.
    """

    examples: OneOrMore = 100
    warm_up: OneOrMore = 5
    repeats: Annotated[int, Field(ge=3)] = 3
    batch_sizes: Annotated[tuple[OneOrMore, ...], Field(min_length=1)] = (1, 4, 16, 64)


class Measured(Block):
    """Who was measured: the student's fingerprint, and how it was run.

    ``precision`` is the type of the weights, ``device`` where they lie; ``num_beams`` and ``max_new_tokens`` are those
    of the explanation.
    """

    student: str
    engine: str
    precision: str | None
    device: str | None
    order: OutputOrder
    num_beams: OneOrMore
    max_new_tokens: OneOrMore


class Parameters(Block):
    """Numbers of parameters, shared ones counted once; ``embedding`` + ``rest`` = ``total``.

    ``embedding``: tables with a row for each token or position, and the output head. ``trainable``: those that a
    further training would change.
    """

    total: Count
    trainable: Count
    embedding: Count
    rest: Count


class AcceleratorMemory(Block):
    """Bytes that PyTorch allocated on an accelerator, as `Memory` counts them."""

    rest_bytes: Count
    peak_bytes: Count
    peak_at_best_batch_bytes: Count


class Memory(Block):
    """Resident bytes of a fresh process.

    ``rest_bytes``: by how much a further copy of the student lets it grow. ``loaded_bytes``: all of the process, once
    a student is loaded: interpreter and libraries are most of it. ``peak_bytes``: the most that it ever had, loading
    included, after answering one by one; ``peak_at_best_batch_bytes``: after answering at the best batch too.
    """

    rest_bytes: int | None
    loaded_bytes: Count | None
    peak_bytes: Count
    peak_at_best_batch_bytes: Count
    accelerator: AcceleratorMemory | None = None


class Latency(Block):
    """Milliseconds from an example to its whole answer, label and explanation, one example at a time.

    Percentiles over ``n`` answers. ``label_only_p50``: the median without the explanation.
    """

    p50: Amount
    p90: Amount
    p95: Amount
    p99: Amount
    mean: Amount
    n: OneOrMore
    label_only_p50: Amount | None = None


class Trial(Block):
    """All examples at one batch size: the median of the repeats, and the slowest and fastest (``spread``)."""

    max_rows: OneOrMore
    examples_per_second: Amount
    spread: tuple[Amount, Amount]
    joules_per_example: Amount | None = None


class Throughput(Block):
    """The fastest of the batch sizes that were tried: ``max_rows`` examples at once, at most.

    ``max_tokens``: of a batch of prompts, padding included; the engine makes smaller batches where it would be more.
    """

    examples_per_second: Amount
    spread: tuple[Amount, Amount]
    max_rows: OneOrMore
    max_tokens: OneOrMore | None = None
    tried: list[Trial]


class Flops(Block):
    """Floating-point operations an example, a mean over ``examples`` of them, one at a time; a multiply-add is two.

    ``label``: encoding the prompt and scoring the labels; ``explanation``: writing it, every step of every beam, which
    encodes the prompt again. ``total`` is their sum.
    """

    label: Amount
    explanation: Amount
    total: Amount
    examples: OneOrMore


class Hardware(Block):
    """The machine: processor, usable cores, ``threads`` that an engine uses, memory, and accelerator if any."""

    cpu: str
    cores: OneOrMore | None
    threads: OneOrMore | None = None
    memory_gib: Amount | None = None
    accelerator: str | None = None


class Efficiency(Versioned):
    """What a student costs on one machine.

    ``checkpoint_bytes``: all files of its folder; ``weights_bytes``: those with the weights.
    ``energy_joules_per_example``: of what ``energy_counters`` name, at the best batch. ``load_average``: processes
    that were running or waiting in the minute before; more than 0.5 or so means that the machine was not idle.
    """

    what = "an efficiency file"
    again = "reasondistill efficiency"

    dataset: DatasetInfo | None = None
    measured: Measured
    parameters: Parameters | None
    checkpoint_bytes: Count
    weights_bytes: Count
    memory: Memory | None
    latency_ms: Latency
    throughput: Throughput
    flops_per_example: Flops | None
    energy_joules_per_example: Amount | None
    energy_counters: list[str] = []
    hardware: Hardware
    load_average: Amount | None
    versions: dict[str, str]
    settings: EfficiencySettings
    not_measured: dict[str, str] = {}
    """A figure's name → why there is none."""
