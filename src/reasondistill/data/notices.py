"""What a user should know of a source that was read: said once, as warnings of the log."""

from __future__ import annotations

import logging
from functools import cache
from typing import Final

from reasondistill.data.loaded import Loaded, counted
from reasondistill.data.readers.flat_rows import listed
from reasondistill.data.readers.own_tables import EMPTY_LABEL, STANDS_FOR_NONE

_LOG = logging.getLogger(__name__)
_FEW: Final = 0.02
"""Share of rows whose label stands for none up to which that is what published sets have; more may be a label."""


def say(source: str, loaded: Loaded) -> None:
    """Say what was recognised in a source, which of its columns are not used, and what was left out."""
    if loaded.ignored_columns:
        _say_once(f"{source}: columns that are not used: {listed(loaded.ignored_columns, most=8)}")
    for note in loaded.notes:
        _say_once(f"{source}: {note}")
    say_unlabelled(source, loaded)


def say_unlabelled(source: str, loaded: Loaded) -> None:
    """Say which rows of a source have no label though others have one."""
    without = {
        reason: count for reason, count in loaded.set_aside.items() if reason.startswith(("label ", EMPTY_LABEL))
    }
    advice = ""
    for reason, count in without.items():
        if reason.endswith(STANDS_FOR_NONE) and count > _FEW * len(loaded):
            label = reason.removeprefix("label ").removesuffix(STANDS_FOR_NONE)
            keep = f"--label-values={label}=NAME (from Python label_values={{{label!r}: 'NAME'}})"
            advice += f"; if {label} is a label, give it a name, with the others: {keep}"
    if without:
        _say_once(f"{source}: rows without a label: {counted(without)}{advice}")


@cache
def _say_once(message: str) -> None:
    # A column's name may hold what a terminal would obey.
    _LOG.warning("%s", "".join(c if c.isprintable() else repr(c)[1:-1] for c in message))
