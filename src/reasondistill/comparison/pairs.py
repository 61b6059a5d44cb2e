"""One system against another, on rows that are known to be the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reasondistill.comparison.measures import unlike
from reasondistill.comparison.systems import System
from reasondistill.contracts.comparison import ComparisonSettings, Difference, Effect, McNemar, Pair, TestedDifference
from reasondistill.metrics.measure import Measure
from reasondistill.metrics.paired import SwapTest, cohens_d_z, cohens_g, mcnemar, swap_test
from reasondistill.metrics.statistics import FloatArray, GroupBootstrap, percentile_interval


class Measured(NamedTuple):
    """A system with its metrics as columns, and why others are left out."""

    system: System
    measures: dict[str, Measure]
    left_out: dict[str, str]


def compare_pair(
    ours: Measured, theirs: Measured, bootstrap: GroupBootstrap, settings: ComparisonSettings
) -> tuple[Pair, bool]:
    """Differences, tests and effect sizes, not yet corrected; and whether the tests tried every swap."""
    names, left_out = shared(ours, theirs)
    pair = Pair(system=ours.system.name, baseline=theirs.system.name, metrics={}, left_out=left_out)
    if not names:
        return pair, True
    gold = np.array([row.gold or "" for row in ours.system.rows])
    columns = Columns()
    twins: dict[str, _Twin] = {}
    by_label: dict[str, dict[str, _Twin]] = {label: {} for label in sorted({*gold.tolist()} - {""})}
    for name in names:
        first, second = ours.measures[name], theirs.measures[name]
        both = first.present & second.present
        twins[name] = _Twin(first, second, both, columns, effect=True)
        for label, label_twins in by_label.items():
            if first.kind != "corpus" and (rows := both & (gold == label)).any():
                label_twins[name] = _Twin(first, second, rows, columns, effect=False)
    statistics = columns.joined()
    total = statistics.sum(axis=0)
    spread = bootstrap.n_groups > 1  # one group says nothing about chance: no interval and no test
    sums = bootstrap.sums(statistics) if spread else None
    tests = _test(list(twins.values()), bootstrap.per_group(statistics), settings) if spread else None
    p = dict(zip(twins, tests.p, strict=True)) if tests else {}
    metrics = {
        name: TestedDifference(
            **twin.difference(total, sums).model_dump(), p=p.get(name), effect=twin.effect(total, sums)
        )
        for name, twin in twins.items()
    }
    accuracy = twins.get("label_accuracy")  # a mean over several trainings is no longer right or wrong
    return pair.model_copy(
        update={
            "metrics": metrics,
            "mcnemar": _mcnemar(accuracy, total, tested=spread) if accuracy is not None and accuracy.binary else None,
            "per_label": {
                label: {name: twin.difference(total, sums) for name, twin in label_twins.items()}
                for label, label_twins in by_label.items()
                if label_twins
            },
        }
    ), tests is None or tests.exact


def shared(ours: Measured, theirs: Measured) -> tuple[list[str], dict[str, str]]:
    """The metrics that two systems can be compared on, in the order of the second's, and why others are left out."""
    named = [{**group.measures, **dict.fromkeys(group.left_out)} for group in (ours, theirs)]
    order = {
        name: None
        for group in (theirs, ours)
        for name in group.system.results.metrics
        if name in {**named[0], **named[1]}
    }
    names, left_out = [], {}
    for name in order:
        lacking = [group.system.name for group, has in zip((ours, theirs), named, strict=True) if name not in has]
        if lacking:
            system = next(group.system for group in (ours, theirs) if group.system.name == lacking[0])
            unread: dict[str, str] = system.results.settings.get("unread", {}).get("left_out", {})
            reason: str | None = f"{lacking[0]} has no figure of it" + (f": {unread[name]}" if name in unread else "")
        else:
            reason = ours.left_out.get(name) or theirs.left_out.get(name) or unlike(name, ours.system, theirs.system)
        if reason is None:
            names.append(name)
        else:
            left_out[name] = reason
    return names, left_out


class Columns:
    """Blocks of additive columns side by side, so that one bootstrap serves them all with the same draws."""

    def __init__(self) -> None:
        self._blocks: list[FloatArray] = []
        self._width = 0

    def add(self, block: FloatArray) -> slice:
        """Append a block (n, S); returns where its columns stand."""
        self._blocks.append(block)
        self._width += block.shape[1]
        return slice(self._width - block.shape[1], self._width)

    def joined(self) -> FloatArray:
        return np.concatenate(self._blocks, axis=1)


class _Twin:
    """One metric of both systems on some rows: where its columns stand, and how differences come out of their sums."""

    def __init__(
        self, ours: Measure, theirs: Measure, rows: NDArray[np.bool_], columns: Columns, *, effect: bool
    ) -> None:
        self._n = int(rows.sum())
        self.function = ours.function
        self.binary = ours.kind == theirs.kind == "binary"
        our_scores, their_scores = ours.on(rows), theirs.on(rows)
        self.ours, self.theirs = columns.add(our_scores), columns.add(their_scores)
        self._effect: tuple[Literal["cohens_d_z", "cohens_g"], Callable[[FloatArray], FloatArray], slice] | None = None
        if not effect or ours.kind == "corpus":
            return
        apart = our_scores[:, 0] - their_scores[:, 0]
        if ours.kind == "binary":
            self._effect = "cohens_g", cohens_g, columns.add(np.column_stack([apart > 0, apart < 0]).astype(float))
        else:
            self._effect = "cohens_d_z", cohens_d_z, columns.add(np.column_stack([apart, apart**2, rows]))

    def difference(self, total: FloatArray, sums: FloatArray | None) -> Difference:
        """Both values, their difference and its interval.

        Args:
            total: column sums over all rows, (S,).
            sums: the same in each resample, (resamples, S).
        """
        ours, theirs = float(self.function(total[self.ours])), float(self.function(total[self.theirs]))
        interval = None
        if sums is not None:
            interval = percentile_interval(self.function(sums[:, self.ours]) - self.function(sums[:, self.theirs]))
        return Difference(system=ours, baseline=theirs, difference=ours - theirs, ci95=interval, n=self._n)

    def effect(self, total: FloatArray, sums: FloatArray | None) -> Effect | None:
        if self._effect is None:
            return None
        name, function, place = self._effect
        value = float(function(total[place]))
        if np.isnan(value):
            return Effect(name=name, value=None)
        return Effect(
            name=name, value=value, ci95=None if sums is None else percentile_interval(function(sums[:, place]))
        )

    def discordant(self, total: FloatArray) -> tuple[int, int]:
        """Of a binary metric: how many rows only the one, and only the other system has at 1."""
        assert self._effect is not None
        ours, theirs = total[self._effect[2]]
        return int(ours), int(theirs)


def _test(twins: list[_Twin], per_group: FloatArray, settings: ComparisonSettings) -> SwapTest:
    """p-values of all metrics, from the same swaps of groups."""
    first = np.concatenate([per_group[:, twin.ours] for twin in twins], axis=1)
    second = np.concatenate([per_group[:, twin.theirs] for twin in twins], axis=1)
    ends = np.cumsum([twin.ours.stop - twin.ours.start for twin in twins])
    places = [slice(end - (twin.ours.stop - twin.ours.start), end) for twin, end in zip(twins, ends, strict=True)]

    def difference(ours: FloatArray, theirs: FloatArray) -> FloatArray:
        return np.stack(
            [t.function(ours[..., p]) - t.function(theirs[..., p]) for t, p in zip(twins, places, strict=True)], axis=-1
        )

    return swap_test(first, second, difference, resamples=settings.swaps, seed=settings.seed)


def _mcnemar(accuracy: _Twin, total: FloatArray, *, tested: bool) -> McNemar:
    test = mcnemar(*accuracy.discordant(total))
    return McNemar(
        system_only=test.first_only,
        baseline_only=test.second_only,
        p=test.p if tested else None,
        odds_ratio=test.odds_ratio,
        odds_ratio_ci95=test.odds_ratio_ci95 if tested else None,
    )
