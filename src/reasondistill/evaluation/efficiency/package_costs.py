"""The costs of a `CTranslate2Engine`: sizes from its package, and operations by the formulas of `Architecture`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from reasondistill.contracts.efficiency import Parameters
from reasondistill.students.engines.ctranslate2 import CTranslate2Engine, Work

if TYPE_CHECKING:
    from ctranslate2 import Translator

T = TypeVar("T")


class PackageCosts:
    """The costs of a `CTranslate2Engine`."""

    name = "ctranslate2"

    def __init__(self, engine: CTranslate2Engine) -> None:
        self.engine = engine
        self._translator: Translator = engine.translator

    @property
    def precision(self) -> str:
        return str(self._translator.compute_type)

    @property
    def device(self) -> str:
        return str(self._translator.device)

    @property
    def threads(self) -> int | None:
        """Its workers, of one thread each; unknown on a GPU."""
        return int(self._translator.num_translators) if self.device == "cpu" else None

    @property
    def max_tokens(self) -> int:
        return self.engine.max_tokens

    def limited(self, max_rows: int) -> CTranslate2Engine:
        return self.engine.limited(max_rows)

    def parameters(self) -> Parameters | None:
        sizes = self.engine.architecture
        if sizes is None:
            return None
        total = sizes.embedding_parameters + sizes.other_parameters
        return Parameters(
            total=total,
            trainable=sizes.trainable_parameters,
            embedding=sizes.embedding_parameters,
            rest=sizes.other_parameters,
        )

    def count_flops(self, work: Callable[[], T]) -> tuple[T, int] | None:
        """Do ``work`` and compute its operations by formula, without padding: CTranslate2 does not count them."""
        sizes = self.engine.architecture
        if sizes is None:
            return None
        noted: list[Work] = []
        before, self.engine.work = self.engine.work, noted
        try:
            done = work()
        finally:
            self.engine.work = before
        flops = sum(sizes.encoder_flops(w.source) + sizes.decoder_flops(w.source, w.steps, w.beams) for w in noted)
        return done, flops

    def use(self, device: str | None, threads: int | None) -> None:
        """Does nothing: both were fixed when the package was opened, by the machine and ``OMP_NUM_THREADS``."""

    def touch(self) -> None:
        """Does nothing: CTranslate2 reads weights when it opens a package."""

    def accelerator_bytes(self) -> tuple[int, int] | None:
        return None
