"""FLOPs of a student's answers: of deciding on a label, and of writing an explanation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar, cast

from reasondistill.config import Generation
from reasondistill.contracts.efficiency import Flops
from reasondistill.contracts.records import Example
from reasondistill.evaluation.efficiency.engine_costs import EngineCosts
from reasondistill.students.codec import Codec
from reasondistill.students.engines import Engine, Generated
from reasondistill.students.engines.engine import RuledEngine, Scored
from reasondistill.students.line_grammar import Allowed
from reasondistill.students.student import Student
from reasondistill.tasks.task import Target

T = TypeVar("T")


class CountingEngine:
    """Passes every call on to an engine and adds up the FLOPs of scoring and of writing."""

    def __init__(self, engine: Engine, costs: EngineCosts) -> None:
        self.engine = engine
        self.costs = costs
        self.scoring = 0
        self.writing = 0

    def score(
        self, prompts: Sequence[str], targets: Sequence[Sequence[Target]], of: Scored = "label"
    ) -> list[list[float]]:
        done, flops = self._counted(lambda: self.engine.score(prompts, targets, of))
        self.scoring += flops
        return done

    def generate(self, prompts: Sequence[str], prefixes: Sequence[str], generation: Generation) -> list[Generated]:
        done, flops = self._counted(lambda: self.engine.generate(prompts, prefixes, generation))
        self.writing += flops
        return done

    @property
    def codec(self) -> Codec:
        codec: Codec = self.engine.codec  # type: ignore[attr-defined]  # engines that are held to rules have one
        return codec

    def generate_within(
        self, prompts: Sequence[str], prefixes: Sequence[str], rules: Sequence[Allowed], max_new_tokens: int
    ) -> list[Generated]:
        engine = cast("RuledEngine", self.engine)
        done, flops = self._counted(lambda: engine.generate_within(prompts, prefixes, rules, max_new_tokens))
        self.writing += flops
        return done

    def _counted(self, work: Callable[[], T]) -> tuple[T, int]:
        counted = self.costs.count_flops(work)
        if counted is None:
            raise NotImplementedError(self.costs.name)
        return counted


def flops_per_example(student: Student, costs: EngineCosts, examples: Sequence[Example]) -> Flops | None:
    """Mean FLOPs of an answer, one example at a time; None where the engine cannot count them."""
    if costs.count_flops(lambda: None) is None:
        return None
    engine = CountingEngine(student.engine, costs)
    counting = replace(student, engine=engine)
    for example in examples:
        counting.predict([example])
    label, explanation = engine.scoring / len(examples), engine.writing / len(examples)
    return Flops(label=label, explanation=explanation, total=label + explanation, examples=len(examples))
