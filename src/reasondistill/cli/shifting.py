"""`evaluate --shift`: sets of other kinds than the one that a run's student is usually scored on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from reasondistill.cli.terminal import fact
from reasondistill.errors import DataError

_OWN_PARTS: Final = ("train", "validation", "test", "all")
_SHOWN: Final = (
    "label_accuracy",
    "label_macro_f1",
    "exact_match",
    "answer_f1",
    "answer_f1_intl",
    "execution_accuracy",
    "query_match",
    "ece",
    "brier",
    "aurc",
    "rougeL",
    "rougeL_intl",
    "bertscore_f1",
    "support",
)
"""What `--shift` shows; the report has all metrics."""

ShiftOption = Annotated[
    list[str] | None,
    typer.Option(
        "--shift",
        metavar="[NAME=]DATA",
        help="Of a run: score this set of another kind too, into RUN/results/NAME (with --out: beside it), and show "
        "what is lost on it. Repeatable.",
    ),
]


def named_sets(options: Sequence[str] | None, of_run: bool) -> dict[str, str]:
    """Name → data of each set of another kind, out of ``[NAME=]DATA``.

    Raises:
        DataError: a name is none, or taken; what is evaluated is no run.
    """
    from reasondistill.storage.packed import plain_stem

    sets: dict[str, str] = {}
    for text in options or ():
        name, equals, source = text.partition("=")
        if not equals:
            name, source = plain_stem(text.partition(":")[0]), text
        if not of_run or not source or not re.fullmatch(r"[\w.-]+", name) or name in (*_OWN_PARTS, *sets):
            raise DataError(
                "--shift",
                expected=f"NAME=DATA of a run, each name once, none of {', '.join(_OWN_PARTS)}",
                found=repr(text) if of_run else "predictions of no run",
                fix="" if of_run else "Evaluate each file by itself, and hold them together: compare --parts.",
            )
        sets[name] = source
    return sets


def show_shift(places: Mapping[str, Path]) -> None:
    """Show what is lost on each set; the first of the results is what the others are held against."""
    from reasondistill.cli.compare import print_shift
    from reasondistill.comparison import load_systems
    from reasondistill.comparison import shift as shift_of
    from reasondistill.metrics.registry import metric_of
    from reasondistill.reporting.formatting import marked_title, metric_value

    base, *others = systems = load_systems([f"{name}={place}" for name, place in places.items()])
    shared = [name for name in _SHOWN if all(name in system.results.metrics for system in systems)]
    print_shift(shift_of(base, others, metrics=[name for name in shared if not metric_of(name).not_resampled] or None))
    for name in shared:
        if metric_of(name).not_resampled:  # no interval of a difference can be had: each figure by itself
            values = (f"{system.name} {metric_value(name, system.results.metrics[name].value)}" for system in systems)
            fact(marked_title(name), ", ".join(values))
