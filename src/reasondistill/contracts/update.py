"""``update.json`` of a run that went on from another: what the parent knew and what is left of it, and the verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from reasondistill.contracts.base import Block, Count, DatasetInfo, Interval, Versioned
from reasondistill.contracts.run import RUN_FILE, RunInfo

UPDATE_FILE = "update.json"

Verdict = Literal["held", "unclear", "fell"]
"""``held``: the loss is below the margin with its whole interval. ``fell``: it is above, and its interval above 0.

``unclear``: neither, as there are too few rows for a loss of this size.
"""


class HeldFigure(Block):
    """A metric of parent and child on the same rows; ``difference`` = ``child`` - ``parent``.

    ``label`` is the gold label of the rows, None for all of them. ``ci95`` is paired, None with fewer than two groups;
    that of few rows is wide though no row changed (`updating.held_figures`). ``rows_needed`` is about how many rows
    would decide what is unclear, None where it is not, or no number is likely to.
    """

    metric: str
    label: str | None = None
    parent: float
    child: float
    difference: float
    ci95: Interval | None = None
    n: Count
    margin: float
    verdict: Verdict
    rows_needed: Count | None = None


class AnsweredSet(Block):
    """Rows that both answered: ``kept`` ones of what the parent knew, or held-out ones of what was ``new``.

    The publishing ``decides`` on some kept ones; the rest is reported. ``selecting`` rows of the same split are not
    among them: the checkpoint was selected, and calibration fitted, on those.
    """

    name: str
    kind: Literal["kept", "new"]
    split: str | None
    decides: bool
    selecting: Count = 0
    dataset: DatasetInfo
    results: tuple[str, str]
    """Of the parent and of the child, from the run's folder on."""
    figures: list[HeldFigure]
    baselines: dict[str, float] = {}
    """Of the metrics that have one, the strongest baseline's figure."""


class Transfer(Block):
    """What of a matrix of tasks is usually told (Lopez-Paz and Ranzato 2017; Chaudhry et al. 2018), in its units.

    With R[i][j] the figure on task j after step i, and T tasks: ``average`` is the mean of R[T][j] over j.
    ``backward`` is the mean of R[T][j] - R[j][j] over j < T. ``forward`` is the mean of R[j-1][j] - b[j] over the tasks
    that came after the first, where b is the strongest baseline. ``forgetting`` is the mean over j < T of the best
    figure that a step before had, less the last one: above 0 where something was lost, whichever way is better.
    """

    average: float | None = None
    backward: float | None = None
    forward: float | None = None
    forgetting: float | None = None


class Matrix(Block):
    """``values[i][j]`` is the figure on ``tasks[j]`` after ``steps[i]``, None where it was not measured."""

    metric: str
    values: list[list[float | None]]
    transfer: Transfer


class UpdateRecord(Versioned):
    """What an update came to."""

    what = "an update"
    again = "reasondistill update"

    published: bool
    reasons: list[str] = []
    """A sentence for each figure that was not shown to hold: why it is not published, if it was not `accepted`."""
    accepted: bool = False
    """It is published though figures are unclear, as somebody asked for; none of them fell."""
    parent: str
    """Its folder when the update was made."""
    parent_student: str
    student: str
    """Fingerprints."""
    strategy: dict[str, object]
    """The block ``update`` of the configuration, and ``lora``."""
    sets: list[AnsweredSet]
    steps: list[str]
    tasks: list[str]
    baselines: dict[str, dict[str, float]] = {}
    """Task → metric → the strongest baseline's figure."""
    matrices: list[Matrix] = []
    seconds: dict[str, float] = {}

    @property
    def undecided(self) -> bool:
        """Whether nothing fell that decides on publishing: what is missing is rows."""
        return all(figure.verdict != "fell" for tested in self.sets if tested.decides for figure in tested.figures)


def refusal_of(student: str | Path) -> str | None:
    """Why the student in a folder, or that of a run, was not published; None where it was, or is no update."""
    for folder in (Path(student), Path(student).parent):
        if (folder / UPDATE_FILE).is_file():
            record = UpdateRecord.load(folder / UPDATE_FILE)
            return None if record.published else "; ".join(record.reasons)
        if (folder / RUN_FILE).is_file() and RunInfo.load(folder / RUN_FILE).config.get("update"):
            return "it was not yet held to what its parent knew: the `update` that trained it goes on when run again"
    return None
