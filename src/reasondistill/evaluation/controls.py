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
    explanations = [row.prediction.explanation for row in rows]
    places = shuffled_within_label(
        [_label(row) if task.labels is not None else None for row in rows],
        [row.example.id for row in rows],
        [row.example.cluster for row in rows],
    )
    return {
        SHUFFLED: [None if place is None else explanations[place] for place in places],
        OTHER_LABEL: _for_another_label(rows),
        EMPTY: [""] * len(rows),
    }


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


def _for_another_label(rows: Sequence[Row]) -> list[str | None]:
    of_group: dict[tuple[str, str], list[int]] = defaultdict(list)
    for k, row in enumerate(rows):
        of_group[row.example.cluster].append(k)
    chosen: list[str | None] = []
    for row in rows:
        label = _label(row)
        own = [e for e in row.example.explanations if e.label and e.label != label and not is_empty(e.text)]
        siblings = [
            rows[k].prediction.explanation
            for k in sorted(of_group[row.example.cluster], key=lambda k: _hash(rows[k].example.id))
            if _label(rows[k]) not in (None, label) and not is_empty(rows[k].prediction.explanation)
        ]
        chosen.append(own[0].text if own else siblings[0] if siblings else None)
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


def _label(row: Row) -> str | None:
    return row.prediction.label if row.prediction.label is not None else row.example.label


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
