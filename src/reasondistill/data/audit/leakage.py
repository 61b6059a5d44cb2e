"""What splits share that they should not: groups, whole inputs, single fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from reasondistill.contracts.audit import Audit, Finding
from reasondistill.contracts.audit_numbers import GroupCounts, IdSets, Leakage, RandomSplit, SharedTexts
from reasondistill.data.audit.duplicates import GetIds
from reasondistill.data.audit.findings import (
    ALL_FIELDS,
    Cell,
    Evidence,
    NumberTable,
    Section,
    finding,
    number_of,
    percent,
)
from reasondistill.data.audit.profile import IDS, Columns, Ints, distinct

TRAIN_SHARE = 0.7
"""How much of the data a random split would train on, as the hash rule does."""

EMPTY: Final = hash("")
"""An optional field that is empty says nothing that could leak."""


def find_leaks(columns: Columns, get_ids: GetIds) -> Leakage:
    """Groups and texts that several splits have, and that a random split would put into several."""
    keys = {name: columns.plain[name] for name in columns.fields}
    if len(keys) > 1:
        keys[ALL_FIELDS] = columns.plain_content
    train = _train(columns)
    others = [code for code in range(len(columns.splits)) if code != train]
    return Leakage(
        train_split=columns.splits[train],
        groups=_groups(columns, get_ids),
        between_splits={
            columns.splits[code]: {
                name: _shared_with(columns, key, train, code, get_ids) for name, key in keys.items()
            }
            for code in others
        },
        random_split={name: _under_random_split(key, get_ids) for name, key in keys.items()},
    )  # fmt: skip


def _train(columns: Columns) -> int:
    if "train" in columns.splits:
        return columns.splits.index("train")
    return int(np.argmax(np.bincount(columns.split, minlength=1)))


def _groups(columns: Columns, get_ids: GetIds) -> GroupCounts:
    grouped = columns.group != 0
    group, split = columns.group[grouped], columns.split[grouped]
    names, where, sizes = np.unique(group, return_inverse=True, return_counts=True)
    pairs = distinct(where * len(columns.splits) + split)
    splits_of = np.bincount(pairs // len(columns.splits), minlength=len(names))
    rows = np.flatnonzero(grouped)[splits_of[where] > 1]
    return GroupCounts(
        groups=len(names),
        rows_without=int((~grouped).sum()),
        largest=int(sizes.max()) if len(sizes) else 0,
        in_several_splits=int((splits_of > 1).sum()),
        rows=len(rows),
        ids=_one_of_each_split(columns, rows, get_ids),
    )


def _one_of_each_split(columns: Columns, rows: Ints, get_ids: GetIds) -> IdSets:
    """For the first groups, one row of every split that the group is in."""
    shown: dict[int, dict[int, int]] = {}
    for row in rows.tolist():
        group = int(columns.group[row])
        if group in shown or len(shown) < IDS:
            shown.setdefault(group, {}).setdefault(int(columns.split[row]), row)
    return [get_ids(list(by_split.values())) for by_split in shown.values()]


def _shared_with(columns: Columns, key: Ints, train: int, code: int, get_ids: GetIds) -> SharedTexts:
    """The rows of a split whose text a row of the training split has too."""
    rows = np.flatnonzero(columns.split == code)
    train_rows = np.flatnonzero(columns.split == train)
    shared = rows[np.isin(key[rows], key[train_rows]) & (key[rows] != EMPTY)]
    return SharedTexts(
        rows=len(shared),
        of=len(rows),
        share=len(shared) / len(rows) if len(rows) else 0.0,
        ids=[get_ids(pair) for pair in _with_twin(key, shared[:IDS], train_rows)],
    )


def _with_twin(key: Ints, rows: Ints, among: Ints) -> list[Sequence[int]]:
    if not len(rows):
        return []
    first: dict[int, int] = {}
    for row in among[np.isin(key[among], key[rows])].tolist():
        first.setdefault(int(key[row]), row)
    return [(row, first[int(key[row])]) for row in rows.tolist()]


def _under_random_split(key: Ints, get_ids: GetIds) -> RandomSplit:
    _, first, where, counts = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
    others: npt.NDArray[np.float64] = np.where(key == EMPTY, 0.0, counts[where] - 1.0)
    repeats = np.flatnonzero((others > 0) & (first[where] != np.arange(len(key))))[:IDS]
    return RandomSplit(
        shared=float((others > 0).mean()),
        leaked=float((1 - (1 - TRAIN_SHARE) ** others).mean()),
        ids=[get_ids([int(first[where[row]]), row]) for row in repeats.tolist()],
    )


def leakage_section(audit: Audit) -> Section:
    """Groups and texts in several splits."""
    findings = [*_group_findings(audit), *_between_splits(audit), *_random_split(audit)]
    return Section("Leaks between splits", "leaks", findings, [_table(audit)])


def main_field(audit: Audit) -> str:
    """The field of the most words: the text that rows are about."""
    return max(audit.fields, key=lambda name: audit.lengths.words[name].mean)


def _group_findings(audit: Audit) -> Iterator[Finding]:
    groups = audit.leakage.groups
    if groups.in_several_splits:
        yield finding(
            "problem",
            f"{number_of(groups.in_several_splits, 'group')} in more than one split ({groups.rows:,} rows)",
            "Split by group, or remove the column 'split', so that the hash rule splits by group.",
            ids=groups.ids,
            groups=groups.in_several_splits,
            rows=groups.rows,
        )
    if groups.rows_without == audit.n:
        texts = {name: leak for name, leak in audit.leakage.random_split.items() if name != ALL_FIELDS}
        name = max(texts, key=lambda key: texts[key].shared)
        if texts[name].shared > 0.05:
            yield finding(
                "warning",
                f"no row has a group, but {percent(texts[name].shared)} share their {name} with another row",
                f"Name a column to group by; the {name} itself will do: --columns 'group={name}'.",
                ids=texts[name].ids,
                share=texts[name].shared,
            )


def _between_splits(audit: Audit) -> Iterator[Finding]:
    train = audit.leakage.train_split
    whole = ALL_FIELDS if len(audit.fields) > 1 else audit.fields[0]
    for split, fields in audit.leakage.between_splits.items():
        for name, shared in fields.items():
            numbers = {"rows": shared.rows, "of": shared.of, "share": shared.share}
            if name == whole and shared.rows:
                yield finding(
                    "problem" if shared.share >= 0.01 else "warning",
                    f"{number_of(shared.rows, 'row')} of {split} ({percent(shared.share)}) also in {train}, with all "
                    "their fields",
                    f"Remove them from {train}, or give equal rows one group: scores on them measure memory.",
                    ids=shared.ids,
                    **numbers,
                )
            elif name != whole and shared.share >= 0.02:
                main = name == main_field(audit)
                yield finding(
                    ("problem" if shared.share >= 0.2 else "warning") if main else "note",
                    f"the {name} of {number_of(shared.rows, 'row')} of {split} ({percent(shared.share)}) is also in "
                    f"{train}",
                    f"Group rows by their {name}."
                    if main
                    else f"This does no harm where the {name} alone does not predict the label: see Give-aways.",
                    ids=shared.ids,
                    **numbers,
                )


def _random_split(audit: Audit) -> Iterator[Finding]:
    for name, leak in audit.leakage.random_split.items():
        if leak.shared >= 0.1 and not (len(audit.fields) == 1 and name == ALL_FIELDS):
            yield finding(
                "warning" if name in (main_field(audit), ALL_FIELDS) else "note",
                f"a random split would leak: {percent(leak.shared)} of rows share "
                f"{name if name == ALL_FIELDS else f'their {name}'} with another row "
                f"({percent(leak.leaked)} of a random test split would be in training)",
                "Split by group, as reasondistill does; never shuffle rows between splits.",
                ids=leak.ids,
                shared=leak.shared,
                leaked=leak.leaked,
            )


def _table(audit: Audit) -> Evidence:
    leakage, groups = audit.leakage, audit.leakage.groups
    rows: list[Sequence[Cell]] = [
        (
            name,
            *(
                (percent(fields[name].share), number_of(fields[name].rows, "row"))
                for fields in leakage.between_splits.values()
            ),
            percent(leak.leaked),
            percent(leak.shared),
        )
        for name, leak in leakage.random_split.items()
    ]
    note = (
        f"{number_of(groups.groups, 'group')}, the largest of {number_of(groups.largest, 'row')}; "
        f"{groups.in_several_splits:,} in more than one split. {number_of(groups.rows_without, 'row')} without a group."
    )
    splits = (f"{split} in {leakage.train_split}" for split in leakage.between_splits)
    head = ("text of", *splits, "of a random test split", "shared at all")
    return NumberTable("Texts that another split has too", head, rows, note)
