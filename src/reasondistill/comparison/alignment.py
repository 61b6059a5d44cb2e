"""Are two systems' rows the same rows? Only then is a difference between the systems a difference between them."""

from __future__ import annotations

from dataclasses import replace

from reasondistill.comparison.systems import System
from reasondistill.errors import DataError


def aligned(system: System, first: System) -> System:
    """``system`` with its rows in the order of ``first``'s, once it is sure that they are the same rows.

    Raises:
        DataError: ids, labels, references (by their fingerprint) or groups differ.
    """
    rows = {row.id: row for row in system.rows}
    wanted = {row.id: row for row in first.rows}
    missing, more = [i for i in wanted if i not in rows], [i for i in rows if i not in wanted]
    if missing or more:
        differences = [f"{len(ids)} ids that only {name} has ({', '.join(ids[:3])}{', …' if len(ids) > 3 else ''})"
                 for ids, name in ((missing, first.name), (more, system.name)) if ids]  # fmt: skip
        raise DataError(
            system.folder,
            expected=f"the ids of {first.name}",
            found=" and ".join(differences),
            fix="Evaluate both systems on the same part of the same data.",
        )
    ours, theirs = system.results.dataset.fingerprint, first.results.dataset.fingerprint
    if ours != theirs:
        raise DataError(
            system.folder,
            expected=f"the labels and references that {first.name} was scored against, fingerprint {theirs}",
            found=f"the same ids with others, fingerprint {ours}",
            fix="Evaluate both systems against the same file.",
        )
    for key in ("gold", "group"):
        for identity, row in wanted.items():
            if getattr(rows[identity], key) != getattr(row, key):
                raise DataError(
                    system.folder,
                    expected=f"each row's {key} as {first.name} has it",
                    found=f"{getattr(rows[identity], key)!r}, not {getattr(row, key)!r}, for id {identity!r}",
                    fix="Evaluate both systems against the same file.",
                )
    return replace(system, rows=tuple(rows[i] for i in wanted))
