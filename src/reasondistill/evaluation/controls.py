"""Negative controls: explanations that explain nothing, which every metric has to score below the system's own.

Copied fields are controls too; they stand among the floors, which has the same form.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from reasondistill.evaluation.pairing import Row
from reasondistill.metrics.text import is_empty

SHUFFLED = "shuffled_within_label"
OTHER_LABEL = "other_label"
EMPTY = "empty"
_NEAR = 100  # how far to look for another group, so that many rows of one group cost no square of their number


def control_explanations(rows: Sequence[Row]) -> dict[str, list[str | None]]:
    """For each control an explanation a row, (n,); None where a row has none to be given.

    ``shuffled_within_label``: the system's explanation of another row that it gave the same label, of another group
    where there is one. ``other_label``: one for another label about the same thing: the data's own where it has some
    (`Explanation.label`), else the system's for a row of the same group that it gave another label. ``empty``: nothing.

    The same rows always get the same controls: the order is that of the ids' SHA-256, not of a generator.
    """
    return {
        SHUFFLED: _shuffled_within_label(rows),
        OTHER_LABEL: _for_another_label(rows),
        EMPTY: [""] * len(rows),
    }


def _shuffled_within_label(rows: Sequence[Row]) -> list[str | None]:
    """Each row gets what was said of the next row of its label, in the ids' hashed order, that is of another group."""
    chosen: list[str | None] = [None] * len(rows)
    of_label: dict[str | None, list[int]] = defaultdict(list)
    for k in sorted(range(len(rows)), key=lambda k: _hash(rows[k].example.id)):
        if not is_empty(rows[k].prediction.explanation):
            of_label[_label(rows[k])].append(k)
    for places in of_label.values():
        for turn, k in enumerate(places):
            # A group has few rows: the first strangers are near.
            others = (places[(turn + step) % len(places)] for step in range(1, min(len(places), _NEAR)))
            taken = next((o for o in others if _group(rows[o]) != _group(rows[k])), None)
            if taken is None and len(places) > 1:
                taken = places[(turn + 1) % len(places)]
            if taken is not None:
                chosen[k] = rows[taken].prediction.explanation
    return chosen


def _for_another_label(rows: Sequence[Row]) -> list[str | None]:
    of_group: dict[str, list[int]] = defaultdict(list)
    for k, row in enumerate(rows):
        of_group[_group(row)].append(k)
    chosen: list[str | None] = []
    for row in rows:
        label = _label(row)
        own = [e for e in row.example.explanations if e.label and e.label != label and not is_empty(e.text)]
        siblings = [
            rows[k].prediction.explanation
            for k in sorted(of_group[_group(row)], key=lambda k: _hash(rows[k].example.id))
            if _label(rows[k]) not in (None, label) and not is_empty(rows[k].prediction.explanation)
        ]
        chosen.append(own[0].text if own else siblings[0] if siblings else None)
    return chosen


def _label(row: Row) -> str | None:
    return row.prediction.label if row.prediction.label is not None else row.example.label


def _group(row: Row) -> str:
    return row.example.group if row.example.group is not None else row.example.id


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
