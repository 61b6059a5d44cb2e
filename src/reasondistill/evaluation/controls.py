"""Negative controls: explanations that explain nothing, which every metric has to score below the system's own.

Copied fields and the commonest template are controls too; they stand among the baselines, which has the same form.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence

from reasondistill.evaluation.pairing import Row
from reasondistill.metrics.registry import controlled_metrics
from reasondistill.metrics.text import is_empty
from reasondistill.tasks.task import Task

SHUFFLED = "shuffled_within_label"
OTHER_LABEL = "other_label"
EMPTY = "empty"
_STEPS = 20  # so many are tried


def control_explanations(rows: Sequence[Row], task: Task) -> dict[str, list[str | None]]:
    """For each control an explanation a row, (n,); None where a row has none to be given.

    ``shuffled_within_label``: the system's explanation of another row that it gave the same label (in a task whose
    choices differ from row to row, of any other row). ``other_label``: one for another label about the same thing: the
    data's own where it has some (`Explanation.label`), else the system's for a row of the same group that it gave
    another label. ``empty``: nothing.

    The same rows always get the same controls: the order is that of the ids' SHA-256, not of a generator.
    """
    said = _Said(rows)
    labels = said.labels if task.labels is not None else [None] * len(rows)
    places = shuffled_within_label(labels, said.ids, said.groups)
    return {
        SHUFFLED: [None if place is None else said.explanations[place] for place in places],
        OTHER_LABEL: _for_another_label(said),
        EMPTY: [""] * len(rows),
    }


class _Said:
    """By row what a system said of which label, and what the data say for another one; rows are looked up at random."""

    def __init__(self, rows: Sequence[Row]) -> None:
        numbers: dict[tuple[str, str], int] = {}
        self.labels: list[str | None] = []
        self.ids: list[str] = []
        self.groups: list[int] = []
        self.explanations: list[str] = []
        self.of_others: dict[int, str] = {}
        for place, (example, prediction, *_) in enumerate(rows):
            label = prediction.label if prediction.label is not None else example.label
            self.labels.append(label)
            self.ids.append(example.id)
            self.groups.append(numbers.setdefault(example.cluster, len(numbers)))
            self.explanations.append(prediction.explanation)
            own = (e.text for e in example.explanations if e.label and e.label != label and not is_empty(e.text))
            if (text := next(own, None)) is not None:
                self.of_others[place] = text


def shuffled_within_label(
    labels: Sequence[str | None], ids: Sequence[str], groups: Sequence[Hashable] | None = None
) -> list[int | None]:
    """For each row the place of another one that was given the same label; None for a label's only row.

    Rows of a label are ordered by the SHA-256 of their ids, and each takes one that a fixed number of places follows:
    the smallest number that gives few rows another one of their own group.

    Args:
        labels: that were given (n,).
        ids: of the rows (n,).
        groups: that rows belong to (n,); by default each is its own.
    """
    by_label: dict[str | None, list[int]] = defaultdict(list)
    for place in sorted(range(len(ids)), key=lambda k: _hash(ids[k])):
        by_label[labels[place]].append(place)
    others: list[int | None] = [None] * len(ids)
    for places in by_label.values():
        if len(places) > 1:
            step = _best_step(places, groups)
            for turn, place in enumerate(places):
                others[place] = places[(turn + step) % len(places)]
    return others


def _best_step(places: Sequence[int], groups: Sequence[Hashable] | None) -> int:
    if groups is None:
        return 1
    steps = range(1, min(len(places), _STEPS + 1))
    same = [sum(groups[p] == groups[places[(k + step) % len(places)]] for k, p in enumerate(places)) for step in steps]
    return steps[same.index(min(same))]


def _for_another_label(said: _Said) -> list[str | None]:
    of_group: dict[int, list[int]] = defaultdict(list)
    for place in sorted(range(len(said.ids)), key=lambda k: _hash(said.ids[k])):
        if said.labels[place] is not None and not is_empty(said.explanations[place]):
            of_group[said.groups[place]].append(place)
    chosen: list[str | None] = []
    for place, (label, group) in enumerate(zip(said.labels, said.groups, strict=True)):
        first = next((k for k in of_group.get(group, ()) if said.labels[k] != label), None)
        chosen.append(said.of_others.get(place, None if first is None else said.explanations[first]))
    return chosen


def fooled(
    metrics: Mapping[str, float],
    baselines: Mapping[str, Mapping[str, float]],
    controls: Mapping[str, Mapping[str, float]],
    beside: Mapping[str, Mapping[str, float]],
) -> dict[str, list[str]]:
    """The controls, and baselines that explain nothing, that each metric gives at least as much as the system.

    Args:
        metrics: the system's figures over all rows, for what is not in ``beside``.
        baselines: name -> metric -> figure; those of people's references are passed over.
        controls: the same of each control.
        beside: the system's figures on the rows that each control or baseline is scored on.
    """
    names_by_metric: dict[str, list[str]] = {}
    nothing = {name: f for name, f in baselines.items() if name.startswith("copied_") or name == "template"}
    for name, figures in {**controls, **nothing}.items():
        own = {**({} if name in controls else metrics), **beside.get(name, {})}
        for metric in controlled_metrics():
            if metric in figures and metric in own and figures[metric] >= own[metric]:
                names_by_metric.setdefault(metric, []).append(name)
    return names_by_metric


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
