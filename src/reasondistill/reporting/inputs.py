"""Reading what a report is made of: run folders and bare results folders."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from reasondistill.contracts.results import Results
from reasondistill.contracts.run import RUN_FILE, RunInfo
from reasondistill.contracts.scored_rows import SCORED_ROWS_FILE, ScoredRow, read_scored_rows
from reasondistill.contracts.seals import SEAL_FILE, WEIGHTS, require_unchanged
from reasondistill.errors import DataError
from reasondistill.storage.files import read_jsonl, real_path
from reasondistill.students.calibration import CALIBRATION_FILE, Calibration, checkpoint_fingerprint

_PREFERRED_SPLITS: Final = ("test", "validation")


@dataclass(frozen=True)
class Scored:
    """One part of a data set with a system's scores; ``rows`` is None without ``per_example.jsonl``."""

    split: str
    results: Results
    rows: tuple[ScoredRow, ...] | None
    folder: Path | None = None


@dataclass(frozen=True)
class Source:
    """Everything that one folder holds for a report."""

    name: str
    run: RunInfo | None
    log: tuple[dict[str, Any], ...] | None
    scored: dict[str, Scored] = field(default_factory=dict)
    calibration: Calibration | None = None

    @property
    def main(self) -> Scored | None:
        """The part that the headline speaks of: test, else validation, else the first by name."""
        names = [*(s for s in _PREFERRED_SPLITS if s in self.scored), *sorted(self.scored)]
        return self.scored[names[0]] if names else None


def load_sources(paths: Sequence[Path]) -> list[Source]:
    """Read the folders, in order; one of a name that came before gets a number.

    Raises:
        DataError: no folder is named, or one is not a run or results folder, or a file in it is broken.
    """
    if not paths:
        raise DataError("report", expected="at least one run or results folder", found="none")
    sources: list[Source] = []
    times: Counter[str] = Counter()
    for source in map(load_source, paths):
        times[source.name] += 1
        number = times[source.name]
        sources.append(replace(source, name=f"{source.name} ({number})") if number > 1 else source)
    return sources


def load_source(path: Path) -> Source:
    """Read one run folder (``run.json``) or bare results folder (``results.json``).

    Raises:
        DataError: it is neither, or a file in it is broken.
        CheckpointError: the student's calibration is, or belongs to another student.
    """
    path = Path(path)
    if (path / RUN_FILE).is_file():
        run = RunInfo.load(path / RUN_FILE)
        log_file = path / "metrics.jsonl"
        log = tuple(_finite(row) for _, row in read_jsonl(log_file)) if _has_content(log_file) else None
        parts = sorted(p.parent for p in path.glob("results/*/results.json"))
        return Source(
            run.name or real_path(path).name,
            run,
            log,
            {p.name: _read_scored(p) for p in parts},
            _calibration(path / "student"),
        )
    if (path / "results.json").is_file():
        scored = _read_scored(path)
        return Source(real_path(path).name, None, None, {scored.split: scored})
    if path.is_dir():
        names = sorted(p.name for p in path.iterdir())
        found = f"a folder with {', '.join(names[:5])}{', …' if len(names) > 5 else ''}" if names else "an empty folder"
    else:
        found = "a file" if path.exists() else "nothing at this path"
    raise DataError(
        path,
        expected="a run folder (with run.json) or a results folder (with results.json)",
        found=found,
        fix="`reasondistill train` makes the one, `reasondistill evaluate` the other.",
    )


def _calibration(student: Path) -> Calibration | None:
    """A student's calibration, held to the student beside it where that is there: a run may be kept without it."""
    if not (student / CALIBRATION_FILE).is_file():
        return None
    if not (student / SEAL_FILE).is_file() and not any(student.glob(WEIGHTS)):
        return Calibration.load(student)
    require_unchanged(student, besides=(WEIGHTS,))  # a sealed one's weights are not read: a report needs no model
    return Calibration.load(student, student=checkpoint_fingerprint(student))


def _read_scored(folder: Path) -> Scored:
    results = Results.load(folder / "results.json")
    rows_file = folder / SCORED_ROWS_FILE
    rows = tuple(read_scored_rows(rows_file)) if _has_content(rows_file) else None
    return Scored(results.dataset.split or real_path(folder).name, results, rows, folder)


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    # JSON written by Python may hold NaN, which no axis can show.
    return {k: v for k, v in row.items() if not isinstance(v, float) or math.isfinite(v)}
