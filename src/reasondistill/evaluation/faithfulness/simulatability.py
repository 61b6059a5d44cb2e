"""Simulatability and leakage-adjusted simulatability: does the explanation help to foretell the student's label?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from reasondistill.contracts.base import MetricValue
from reasondistill.contracts.faithfulness import DetailTable, Entry, FaithfulnessDetails
from reasondistill.evaluation.faithfulness.common import finite, partners
from reasondistill.evaluation.faithfulness.definition import FaithfulnessTest, Outcome, Sample, left_out
from reasondistill.evaluation.faithfulness.needs import LABELS
from reasondistill.evaluation.faithfulness.simulator import SIMULATOR, VIEWS, Vectors, View, encoded, simulate
from reasondistill.metrics.simulation import las, las_statistics
from reasondistill.metrics.statistics import FloatArray, GroupBootstrap, mean

_Right = dict[View, NDArray[np.bool_]]
_FEWEST = 20
"""Groups of examples; fewer teach a simulator nothing."""


class Simulatability(FaithfulnessTest):
    """How much better a simulator foretells the student's label when it reads the explanation too.

    After Hase et al. 2020. Their simulator is a T5 with dropout of input and explanation; here it is a logistic
    regression for each of three views (input, explanation, both), fitted by cross-validation over groups. The student
    is asked nothing.

    Attributes:
        folds: of the cross-validation.
        seed: of the hash that deals groups to folds.
        encoder: give the simulator a frozen MiniLM too, where it is installed.
    """

    name = "simulatability"
    title = "Does the explanation help to foretell the label?"
    meaning = (
        "Proves: a light simulator foretells the student's label better with the explanation. LAS weighs explanations "
        "that give the label away and those that do not alike; the second bin is mostly small, so see its size. "
        "Does not prove: that the explanation is the cause; with a simulator that learns little from the input, LAS is "
        "above 0 for explanations of other examples too, so read it beside that control."
    )
    metrics = ("simulatability", "las")
    controls = ("explanations of other examples",)
    needs = (LABELS,)
    turn = 20

    folds: Annotated[int, Field(ge=2)] = 5
    seed: Annotated[int, Field(ge=0)] = 0
    encoder: bool = True

    def measure(self, sample: Sample) -> Outcome:
        labels = [label or "" for label in sample.labels]
        groups = [e.cluster for e in sample.examples]
        if len(set(labels)) < 2:
            return left_out("the student gives every example one label: there is nothing to foretell")
        if len(set(groups)) < _FEWEST:
            return left_out(f"a simulator needs {_FEWEST} groups of examples or more; there are {len(set(groups))}")
        own, foreign, vectors = self._right(sample, labels, groups)
        gain = own["both"].astype(np.float64) - own["input"]
        blind = foreign["both"].astype(np.float64) - foreign["input"]
        statistics = las_statistics(gain, own["explanation"])
        adjusted = finite(float(las(statistics.sum(axis=0))))
        metrics = {"simulatability": mean(gain.tolist(), sample.bootstrap)}
        if adjusted is not None:
            interval = sample.bootstrap.interval(statistics, las)
            metrics["las"] = MetricValue(value=adjusted, ci95=interval, n=len(labels))
        control = {
            "simulatability": float(blind.mean()),
            "las": finite(float(las(las_statistics(blind, foreign["explanation"]).sum(axis=0)))),
        }
        return Outcome(
            metrics,
            FaithfulnessDetails(
                settings={"simulator": SIMULATOR, "encoder": vectors.settings},
                not_measured={"las": "one of the two bins is empty"} if adjusted is None else {},
                figures={"majority_label": max(Counter(labels).values()) / len(labels)},
                controls={"explanations of other examples": control},
                tables=[_bins(own, gain, sample.bootstrap)],
            ),
            {"simulatability": gain.tolist(), **{f"simulated_from_{view}": own[view].tolist() for view in own}},
        )

    def _right(
        self, sample: Sample, labels: list[str], groups: list[tuple[str, str]]
    ) -> tuple[_Right, _Right, Vectors]:
        """Which labels simulators foretell from each view, with the student's explanations and with others' ones."""
        fields = [[e.fields[name] for name in sample.subject.task.fields] for e in sample.examples]
        own = sample.explanations
        shuffled = ["" if other is None else own[other] for other in partners(sample.examples)]
        sample.progress(f"simulatability: encoding the texts of {len(labels):,} examples")
        vectors = encoded([*{text for row in fields for text in row}, *own, *shuffled], encoder=self.encoder)

        def right(explanations: Sequence[str]) -> _Right:
            guesses = simulate(fields, explanations, labels, groups, vectors, folds=self.folds, seed=self.seed)
            return {view: np.array([a == b for a, b in zip(g, labels, strict=True)]) for view, g in guesses.items()}

        sample.progress(f"simulatability: fitting simulators to {len(labels):,} labels, in {self.folds} folds")
        return right(own), right(shuffled), vectors


def _bins(right: _Right, gain: FloatArray, bootstrap: GroupBootstrap) -> DetailTable:
    """Accuracies of the simulator and the gain, over all examples and in both bins of LAS."""
    leaking = right["explanation"]
    bins = {"All": np.ones_like(leaking), "Leaking": leaking, "Not leaking": ~leaking}
    rows: list[list[Entry]] = []
    for name, inside in bins.items():
        views = [_within(right[view].astype(np.float64).tolist(), inside, bootstrap) for view in VIEWS]
        rows.append([name, int(inside.sum()), *views, _within(gain.tolist(), inside, bootstrap)])
    return DetailTable(
        title="The simulator, and the bins of LAS",
        columns=["Bin", "Examples", *(view.capitalize() for view in VIEWS), "Gain"],
        rows=rows,
        note="How often the simulator gives the student's label. Leaking: it does from the explanation alone. Gain: "
        "with both, less with the input alone.",
    )


def _within(values: Sequence[float], inside: NDArray[np.bool_], bootstrap: GroupBootstrap) -> MetricValue | None:
    if not inside.any():
        return None
    return mean([v if i else None for v, i in zip(values, inside, strict=True)], bootstrap)
