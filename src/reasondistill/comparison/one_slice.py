"""Systems beside each other on one slice of the rows only, such as those of one language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from reasondistill.comparison.pairs import Measured
from reasondistill.errors import DataError
from reasondistill.evaluation.slice_rules import Members
from reasondistill.metrics.measure import Measure


def within_slice(measured: Mapping[str, Measured], name: str) -> dict[str, Measured]:
    """What was measured of each system, on the rows of a slice that evaluation wrote into per_example.jsonl.

    Raises:
        DataError: there is no such slice, or other rows of one system than of another are in it.
    """
    systems = [one.system for one in measured.values()]
    members = [np.array([name in (row.slices or ()) for row in system.rows]) for system in systems]
    if not members[0].any():
        known = sorted({part for row in systems[0].rows for part in row.slices or ()})
        raise DataError(
            "--slice",
            expected=f"a slice of {systems[0].name}: {', '.join(known) or 'none'}",
            found=repr(name),
            fix="Name one of these.",
        )
    for system, inside in zip(systems, members, strict=True):
        if not np.array_equal(inside, members[0]):
            raise DataError(
                "--slice",
                expected="a slice of the data, with the same rows for all systems",
                found=f"{name!r}, of which {system.name} has other rows than {systems[0].name}",
                fix="Name one that goes by the input, as a language or a gold label.",
            )
    return {name: _on(one, members[0]) for name, one in measured.items()}


def _on(measured: Measured, inside: Members) -> Measured:
    rows = tuple(row for row, belongs in zip(measured.system.rows, inside, strict=True) if belongs)
    of_slice = {
        name: Measure(measure.kind, measure.statistics[inside], measure.present[inside], measure.function)
        for name, measure in measured.measures.items()
    }
    without = {name: "no row of the slice has a value" for name, part in of_slice.items() if not part.n}
    return Measured(
        replace(measured.system, rows=rows),
        {name: part for name, part in of_slice.items() if name not in without},
        {**measured.left_out, **without},
    )
