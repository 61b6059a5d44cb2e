"""Simulatability and leakage-adjusted simulatability: does the explanation help to foretell the student's label?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from reasondistill.contracts.records import Example, Prediction
from reasondistill.contracts.results import Metric
from reasondistill.evaluation.faithfulness.common import finite, over_sample, partners
from reasondistill.evaluation.faithfulness.model_under_test import Progress, Subject
from reasondistill.evaluation.faithfulness.outcome import Outcome, left_out
from reasondistill.evaluation.faithfulness.simulator import SIMULATOR, View, encoded, simulate
from reasondistill.metrics.simulation import las, las_statistics
from reasondistill.metrics.statistics import GroupBootstrap, mean
from reasondistill.tasks.task import Task

_FEWEST = 20
"""Groups of examples; fewer teach a simulator nothing."""


class SimulatabilitySettings(BaseModel):
    """At most ``examples`` are tested (see `outcome.sample`), in ``folds`` that a hash with ``seed`` deals groups to.

    With ``encoder`` the simulator has a frozen MiniLM too, where it is installed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    examples: Annotated[int, Field(ge=1)] = 500
    folds: Annotated[int, Field(ge=2)] = 5
    seed: Annotated[int, Field(ge=0)] = 0
    encoder: bool = True


def simulatability(
    subject: Subject,
    examples: Sequence[Example],
    answers: Sequence[Prediction],
    settings: SimulatabilitySettings,
    bootstrap: GroupBootstrap,
    progress: Progress = lambda stage: None,
) -> Outcome:
    """How much better a simulator foretells the student's label when it reads the explanation too.

    After Hase et al. 2020. Their simulator is a T5 with dropout of input and explanation; here it is a logistic
    regression for each of three views (input, explanation, both), fitted by cross-validation over groups.

    Args:
        subject: the student; it is asked nothing.
        examples: what it is tested on (n,).
        answers: what it answers them (n,).
        settings: how many are tested, and the simulator.
        bootstrap: of the examples' groups (n,).
        progress: see `Progress`.
    """
    test = partial(_simulatability, subject.task, settings, progress)
    return over_sample(test, examples, answers, settings.examples, bootstrap)


def _simulatability(
    task: Task,
    settings: SimulatabilitySettings,
    progress: Progress,
    examples: Sequence[Example],
    answers: Sequence[Prediction],
    bootstrap: GroupBootstrap,
) -> Outcome:
    labels = [p.label or "" for p in answers]
    groups = [e.cluster for e in examples]
    if "" in labels:
        return left_out("the student gives no label that could be foretold")
    if len(set(labels)) < 2:
        return left_out("the student gives every example one label: there is nothing to foretell")
    if len(set(groups)) < _FEWEST:
        return left_out(f"a simulator needs {_FEWEST} groups of examples or more; there are {len(set(groups))}")
    fields = [[e.fields[name] for name in task.fields] for e in examples]
    said = [p.explanation for p in answers]
    shuffled = ["" if other is None else said[other] for other in partners(examples)]
    progress(f"simulatability: encoding the texts of {len(examples):,} examples")
    vectors = encoded([*{text for row in fields for text in row}, *said, *shuffled], encoder=settings.encoder)

    def right(explanations: Sequence[str]) -> dict[View, NDArray[np.bool_]]:
        guesses = simulate(fields, explanations, labels, groups, vectors, folds=settings.folds, seed=settings.seed)
        return {view: np.array([a == b for a, b in zip(guess, labels, strict=True)]) for view, guess in guesses.items()}

    progress(f"simulatability: fitting simulators to {len(examples):,} labels, in {settings.folds} folds")
    own, foreign = right(said), right(shuffled)
    gain = own["both"].astype(np.float64) - own["input"]
    statistics = las_statistics(gain, own["explanation"])
    adjusted = finite(float(las(statistics.sum(axis=0))))
    metrics = {"simulatability": mean(gain.tolist(), bootstrap)}
    if adjusted is not None:
        metrics["las"] = Metric(value=adjusted, ci95=bootstrap.interval(statistics, las), n=len(examples))
    blind = foreign["both"].astype(np.float64) - foreign["input"]
    return Outcome(
        metrics=metrics,
        details={
            "settings": settings.model_dump(mode="json") | {"simulator": SIMULATOR, "encoder": vectors.settings},
            "accuracy": _accuracies(own, np.ones(len(labels), dtype=bool), bootstrap),
            "majority_label": max(Counter(labels).values()) / len(labels),
            "bins": {
                name: {
                    "n": int(inside.sum()),
                    "share": float(inside.mean()),
                    "gain": _within(gain.tolist(), inside, bootstrap),
                    "accuracy": _accuracies(own, inside, bootstrap),
                }
                for name, inside in (("leaking", own["explanation"]), ("not_leaking", ~own["explanation"]))
            },
            **({"las": {"left_out": "one of the two bins is empty"}} if adjusted is None else {}),
            "controls": {
                "explanations of other examples": {
                    "simulatability": float(blind.mean()),
                    "las": finite(float(las(las_statistics(blind, foreign["explanation"]).sum(axis=0)))),
                }
            },
        },
        per_example={
            "simulatability": gain.tolist(),
            **{f"simulated_from_{view}": own[view].tolist() for view in own},
        },
    )


def _accuracies(
    right: dict[View, NDArray[np.bool_]], inside: NDArray[np.bool_], bootstrap: GroupBootstrap
) -> dict[str, Any]:
    """Of each view, over some of the rows."""
    return {view: _within(ok.astype(np.float64).tolist(), inside, bootstrap) for view, ok in right.items()}


def _within(values: Sequence[float], inside: NDArray[np.bool_], bootstrap: GroupBootstrap) -> dict[str, Any] | None:
    if not inside.any():
        return None
    return mean([v if i else None for v, i in zip(values, inside, strict=True)], bootstrap).model_dump()
