"""Answered examples in front of a question: from training rows only, never of the group that is asked about."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from reasondistill.contracts.records import Example
from reasondistill.data import Loaded
from reasondistill.data.splits import part_of
from reasondistill.errors import DataError
from reasondistill.tasks.task import Task

Cluster = tuple[str, str]


@dataclass(frozen=True)
class FewShots:
    """Candidates in the order in which they are taken: labels in turn, each by a hash of seed and id."""

    candidates: Sequence[Example] = ()
    count: int = 0

    def of(self, example: Example) -> list[Example]:
        """The shots for one example: the first ones that are not of its group.

        Nearly all examples get the same ones, so that servers can cache the start of the prompt.
        """
        own = example.cluster
        shots: list[Example] = []
        for candidate in self.candidates:
            if len(shots) == self.count:
                break
            if candidate.cluster != own and candidate.fields != example.fields:
                shots.append(candidate)
        return shots


def few_shots(count: int, shown: Loaded, data: Loaded, task: Task, seed: int, *, explained: bool = True) -> FewShots:
    """Choose shots among training rows.

    Args:
        shown: where they come from, all splits of it.
        data: the data that are asked about, all splits of them: groups of validation and test give no shots.
        explained: whether shots need an explanation.

    Raises:
        DataError: there are too few usable rows.
    """
    rows, held_out = _parts(shown)
    if data is not shown:
        held_out |= _parts(data)[1]
    usable = [e for e in rows if e.cluster not in held_out and _answered(e, task, explained)]
    ordered = sorted(usable, key=lambda e: hashlib.sha256(f"{seed}:{e.id}".encode("utf-8", "surrogatepass")).digest())
    if len(ordered) < count:
        raise DataError(
            shown.name,
            expected=f"{count} training rows with a label{' and an explanation' if explained else ''} to show as shots",
            found=f"{len(ordered)} that share no group with validation or test rows",
            fix="Ask for fewer shots, or name another shots.source.",
        )
    # A few more than are needed stand in for those of the asked group.
    return FewShots(_in_turn(ordered)[: count + _SPARE], count)


_SPARE = 50


def _parts(loaded: Iterable[Example]) -> tuple[list[Example], set[Cluster]]:
    """The training rows, and the clusters of all others."""
    train: list[Example] = []
    others: set[Cluster] = set()
    for example in loaded:
        if part_of(example.split, example.group, example.id) == "train":
            train.append(example)
        else:
            others.add(example.cluster)
    return train, others


def _answered(example: Example, task: Task, explained: bool) -> bool:
    labelled = task.labels == () or example.label is not None
    return labelled and (not explained or any(e.text.strip() for e in example.references))


def _in_turn(examples: Sequence[Example]) -> list[Example]:
    by_label: defaultdict[str | None, list[Example]] = defaultdict(list)
    for example in examples:
        by_label[example.label].append(example)
    rounds = zip_longest(*(by_label[label] for label in sorted(by_label, key=str)))
    return [example for example in chain.from_iterable(rounds) if example is not None]
