"""The runs that a run goes on from, and the rows that it has to hold: none of them may be learned."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from reasondistill.config import Source, TrainConfig, Update
from reasondistill.contracts.records import Example
from reasondistill.data import Loaded, load_source
from reasondistill.data.transforms.selection import groups_of
from reasondistill.errors import DataError, NoSuchSplitError
from reasondistill.run_data import Rows, RunData
from reasondistill.runs import Run

KEPT_BACK = "row that is kept for testing"
"""Why a row is not learned: it has the group or the texts of one that the update is tested on."""


SELECTS = "row that the checkpoint is selected on"
"""Why a kept row does not decide on publishing."""

_MOST_SELECT = 1 / 3
"""Of a kept set's rows: checkpoints differ by more than what the gate has to tell, so few rows select."""


class KeptSet(NamedTuple):
    """Rows that the student has to hold, split by split: the first one decides.

    ``selection`` are rows of that split which validation looks at: they choose a checkpoint, so they cannot decide.
    """

    name: str
    splits: Sequence[Rows]
    selection: Loaded | None = None


def lineage(update: Update) -> list[Run]:
    """The runs that an update goes on from, the first one first, its parent last.

    Raises:
        DataError: one of them is not there any more.
    """
    run = Run.open(update.parent)
    above = run.config().update
    return [*(lineage(above) if above is not None else ()), run]


def kept_sets(config: TrainConfig, update: Update) -> list[KeptSet]:
    """What has to be held: the sets that are named, or those that the runs before held out.

    Each set lends validation as many rows as there are new ones to select on, at most a third of its own.

    Raises:
        DataError: there are none, or they cannot be read.
    """
    if update.keep:
        sets = [_named(source, config) for source in update.keep]
    else:
        runs = [(run.folder.name, RunData(run)) for run in lineage(update)]
        sets = [KeptSet(name, list(_held_out(data))) for name, data in runs]
    if missing := [kept.name for kept in sets if not kept.splits]:
        raise DataError(
            ", ".join(missing),
            expected="rows that were held out, to see what an update loses",
            found="none",
            fix="Name some: --keep DATA.",
        )
    validation = config.data.validation
    new = 0 if validation is None else len(load_source(validation, config.task, config.seed))
    sets = [_divided(kept, new) for kept in sets]
    if (limit := update.limit) is None:
        return sets
    return [kept._replace(splits=[rows.first(limit) for rows in kept.splits]) for kept in sets]


def _divided(kept: KeptSet, wanted: int) -> KeptSet:
    """The set, of whose first split at most ``wanted`` rows select. Test rows never do.

    Groups are taken whole, in the order of their SHA-256: neither a seed nor the number of rows makes a group that
    selected in one update decide in the next, as long as the set is the same.
    """
    deciding, *others = kept.splits
    split = deciding.source.split
    if "test" in (split if isinstance(split, list) else [split]):
        return kept
    groups = groups_of(deciding.loaded)
    sizes, room, chosen = Counter(groups), min(wanted, int(len(groups) * _MOST_SELECT)), set()
    for group in sorted(
        sizes, key=lambda name: hashlib.sha256(f"selects:{name}".encode("utf-8", "surrogatepass")).digest()
    ):
        if (room := room - sizes[group]) < 0:
            break
        chosen.add(group)
    if not chosen:
        return kept
    deciding_rows = replace(
        deciding, loaded=deciding.loaded.only([group not in chosen for group in groups], reason=SELECTS)
    )
    selection = deciding.loaded.only([group in chosen for group in groups], reason="row that decides on publishing")
    return KeptSet(kept.name, [deciding_rows, *others], selection)


def _held_out(data: RunData) -> Iterator[Rows]:
    for split in ("validation", "test"):
        with suppress(NoSuchSplitError):
            yield data.held_out(split)


def _named(source: Source, config: TrainConfig) -> KeptSet:
    """The splits validation and test of a set; all its rows where it has none, or one that is named."""
    splits: list[Rows] = []
    if source.split is None:
        for split in ("validation", "test"):
            part = source.model_copy(update={"split": split})
            with suppress(NoSuchSplitError):
                splits.append(Rows(load_source(part, config.task, config.seed), part))
    splits = splits or [Rows(load_source(source, config.task, config.seed), source)]
    return KeptSet(splits[0].loaded.name, splits)


def apart(loaded: Loaded, kept: Iterable[KeptSet]) -> Loaded:
    """A data set without the rows that have the group or the texts of kept ones; those are dropped and counted.

    Raises:
        DataError: nothing is left.
    """
    parts = [part for of in kept for part in (of.selection, *(rows.loaded for rows in of.splits)) if part is not None]
    held = {key for part in parts for example in part.examples for key in _keys(example)}
    free = [held.isdisjoint(_keys(example)) for example in loaded.examples]
    if not any(free):
        raise DataError(
            loaded.name,
            expected="rows that are not among those that are kept for testing",
            found=f"none in {len(free):,}",
            fix="Name other data, or keep others (--keep).",
        )
    return loaded if all(free) else loaded.only(free, reason=KEPT_BACK)


def _keys(example: Example) -> tuple[int, ...]:
    texts = hash(tuple(sorted(example.fields.items())))
    return (texts,) if example.group is None else (texts, hash(("group", example.group)))


def joined(first: Loaded, others: Iterable[Loaded]) -> Loaded:
    """The examples of several data sets, under the first one's name; of an id that comes again, the first."""
    for other in others:
        known = {*first.stored.column("id")}
        kept = [identity not in known for identity in other.stored.column("id")]
        first = first.joined_with(other.only(kept, reason="repeated id"))
    return first
