"""The interface for an engine's costs, and its form for unknown engines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from reasondistill.contracts.efficiency import Parameters
from reasondistill.evaluation.efficiency.package_costs import PackageCosts
from reasondistill.students.engines import Engine
from reasondistill.students.engines.ctranslate2 import CTranslate2Engine

T = TypeVar("T")


class EngineCosts(Protocol):
    """The costs of an engine; None is unknown."""

    name: str

    @property
    def precision(self) -> str | None:
        """The type of its weights."""
        ...

    @property
    def device(self) -> str | None:
        """The device of its weights: cpu, cuda:0 …"""
        ...

    @property
    def threads(self) -> int | None:
        """Threads per operation."""
        ...

    @property
    def max_tokens(self) -> int | None:
        """Tokens of the prompts in one batch, padding included."""
        ...

    def limited(self, max_rows: int) -> Engine | None:
        """The same engine, with at most ``max_rows`` prompts in a batch."""
        ...

    def parameters(self) -> Parameters | None:
        """The number of its parameters."""
        ...

    def count_flops(self, work: Callable[[], T]) -> tuple[T, int] | None:
        """Do ``work`` and count its floating-point operations."""
        ...

    def use(self, device: str | None, threads: int | None) -> None:
        """Run on this device, with this number of threads."""
        ...

    def touch(self) -> None:
        """Read every weight once: mapped weights come into memory only then."""
        ...

    def accelerator_bytes(self) -> tuple[int, int] | None:
        """Bytes allocated on its accelerator, now and at most since the process began; None without one."""
        ...


class UnknownCosts:
    """An unknown engine: it can only be timed."""

    precision: str | None = None
    device: str | None = None
    threads: int | None = None
    max_tokens: int | None = None

    def __init__(self, engine: Engine) -> None:
        self.name = type(engine).__name__

    def limited(self, max_rows: int) -> Engine | None:
        return None

    def parameters(self) -> Parameters | None:
        return None

    def count_flops(self, work: Callable[[], T]) -> tuple[T, int] | None:
        return None

    def use(self, device: str | None, threads: int | None) -> None:
        pass

    def touch(self) -> None:
        pass

    def accelerator_bytes(self) -> tuple[int, int] | None:
        return None


def costs_of(engine: Engine) -> EngineCosts:
    """The costs of an engine."""
    if isinstance(engine, CTranslate2Engine):
        return PackageCosts(engine)
    try:
        from reasondistill.evaluation.efficiency.torch_costs import TorchCosts
        from reasondistill.students.engines.pytorch import TorchEngine
    except ImportError:
        return UnknownCosts(engine)
    return TorchCosts(engine) if isinstance(engine, TorchEngine) else UnknownCosts(engine)
