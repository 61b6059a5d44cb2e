"""Reading what a report is made of: run folders and bare results folders."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from reasondistill.comparison import (
    Comparison,
    ComparisonSettings,
    Generalisation,
    Shift,
    System,
    compare,
    generalisation,
    shift,
)
from reasondistill.comparison.systems import with_costs
from reasondistill.contracts.federation import FEDERATION_FILE, ROUNDS_FILE, FederationRecord, RoundRow
from reasondistill.contracts.records import parse_record
from reasondistill.contracts.results import Results
from reasondistill.contracts.run import RUN_FILE, RunInfo
from reasondistill.contracts.scored_rows import SCORED_ROWS_FILE, ScoredRow, read_scored_rows
from reasondistill.contracts.seals import SEAL_FILE, WEIGHTS, require_unchanged
from reasondistill.contracts.update import UPDATE_FILE, UpdateRecord
from reasondistill.data.splits import main_split
from reasondistill.errors import DataError
from reasondistill.storage.files import read_jsonl, real_path
from reasondistill.students.calibration import CALIBRATION_FILE, Calibration, checkpoint_fingerprint

_LOG = logging.getLogger(__name__)

_EARLIER, _LATER = "train", "test"
_OWN_PARTS: Final = frozenset({"train", "validation", "test", "all"})
"""Parts of the data that a run was made from; other folders of results are of other sets (`evaluate --shift`)."""
_NOT_IN_REPORTS: Final = frozenset({"bleu", "chrf"})
"""A report must not take minutes on a large training part; `compare --parts` counts n-grams and resamples more."""
_GENERALISATION: Final = ComparisonSettings(resamples=1_000)


@dataclass(frozen=True)
class Scored:
    """One part of a data set with a system's scores; ``rows`` is None without ``per_example.jsonl``."""

    split: str
    results: Results
    rows: tuple[ScoredRow, ...] | None
    folder: Path | None = None


@dataclass(frozen=True)
class Source:
    """Everything that one folder holds for a report.

    ``generalisation`` is what the system loses from its train to its test part, or why that cannot be told; None
    without both parts, and until `with_generalisation` has filled it. ``shift`` is the same of
    the headline's part and sets of other kinds.
    """

    name: str
    run: RunInfo | None
    log: tuple[dict[str, object], ...] | None
    scored: dict[str, Scored] = field(default_factory=dict)
    calibration: Calibration | None = None
    generalisation: Generalisation | str | None = None
    shift: Shift | str | None = None
    update: UpdateRecord | None = None
    federation: FederationRecord | None = None
    rounds: tuple[RoundRow, ...] = ()

    @property
    def main(self) -> Scored | None:
        """The part that the headline speaks of: test, else validation, else the first by name."""
        name = main_split(self.scored)
        return None if name is None else self.scored[name]


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
        scored_parts = {p.name: replace(_read_scored(p, path), split=p.name) for p in parts}
        _warn_of_other_students(path / "student", scored_parts.values())
        return Source(
            run.name or real_path(path).name,
            run,
            log,
            scored_parts,
            _calibration(path / "student"),
            update=UpdateRecord.load(path / UPDATE_FILE) if (path / UPDATE_FILE).is_file() else None,
            federation=FederationRecord.load(path / FEDERATION_FILE) if (path / FEDERATION_FILE).is_file() else None,
            rounds=_rounds(path / ROUNDS_FILE),
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


def with_generalisation(source: Source) -> Source:
    """The source with its parts compared to each other. It bootstraps; pages only draw what comes of it."""
    return _with_shift(_with_gap(source))


def _with_gap(source: Source) -> Source:
    """The source with its train part compared to its test part."""
    parts = [part for name in (_EARLIER, _LATER) if (part := source.scored.get(name)) is not None]
    folders = [part.folder for part in parts if part.folder is not None]
    if len(folders) < 2:
        return source
    if missing := [folder for part, folder in zip(parts, folders, strict=True) if part.rows is None]:
        return replace(source, generalisation=f"{missing[0].name} has no {SCORED_ROWS_FILE}.")
    systems = [
        System(folder.name, folder, part.results, part.rows or ()) for part, folder in zip(parts, folders, strict=True)
    ]
    metrics = {name for part in parts for name in part.results.metrics} - _NOT_IN_REPORTS
    try:
        gaps = generalisation(systems[0], systems[1], metrics=metrics, settings=_GENERALISATION)
    except DataError as error:  # a report shows what it can: parts that overlap are a finding, not its end
        return replace(source, generalisation=f"the parts cannot be compared. {error}.")
    return replace(source, generalisation=gaps)


def comparison_of(sources: Sequence[Source]) -> Comparison | None:
    """The sources as `compare` compares them; None where not all were scored, row by row, on the same rows."""
    systems = [
        System(source.name, scored.folder, scored.results, scored.rows)
        for source in sources
        if (scored := source.main) is not None and scored.folder is not None and scored.rows is not None
    ]
    if len(systems) < 2 or len(systems) < len(sources):
        return None
    try:
        return compare(systems)
    except DataError:  # a report shows what it can; `compare` names the rows that differ
        return None


def _with_shift(source: Source) -> Source:
    """The source with its test part compared to each set that is none of its own parts."""
    base = source.main
    others = [part for name, part in source.scored.items() if name not in _OWN_PARTS and part is not base]
    if base is None or not others:
        return source
    if missing := [part.split for part in (base, *others) if part.rows is None]:
        return replace(source, shift=f"{missing[0]} has no {SCORED_ROWS_FILE}.")
    first, *rest = [
        System(part.split, part.folder or Path(part.split), part.results, part.rows or ()) for part in (base, *others)
    ]
    metrics = set(base.results.metrics) - _NOT_IN_REPORTS
    try:
        return replace(source, shift=shift(first, rest, metrics=metrics, settings=_GENERALISATION))
    except DataError as error:
        return replace(source, shift=f"the sets cannot be compared. {error}.")


def _rounds(file: Path) -> tuple[RoundRow, ...]:
    rows = read_jsonl(file) if _has_content(file) else ()
    return tuple(parse_record(RoundRow, row, f"{file}:{number}") for number, row in rows)


def _calibration(student: Path) -> Calibration | None:
    """A student's calibration, held to the student beside it where that is there: a run may be kept without it."""
    if not (student / CALIBRATION_FILE).is_file():
        return None
    if not (student / SEAL_FILE).is_file() and not any(student.glob(WEIGHTS)):
        return Calibration.load(student)
    require_unchanged(student, besides=(WEIGHTS,))  # a sealed one's weights are not read: a report needs no model
    return Calibration.load(student, student=checkpoint_fingerprint(student))


def _warn_of_other_students(student: Path, parts: Iterable[Scored]) -> None:
    """Say which results a run's student did not reach, as where results or student were exchanged."""
    if not (student / SEAL_FILE).is_file():
        return  # a run may be kept without it; and one that is not sealed would have to be read
    own = checkpoint_fingerprint(student)
    for part in parts:
        if part.results.settings.get("student") not in (None, own):
            _LOG.warning(
                "%s is about another student than %s: `reasondistill evaluate` with --force scores this one.",
                part.folder,
                student,
            )


def _read_scored(folder: Path, run: Path | None = None) -> Scored:
    results = with_costs(Results.load(folder / "results.json"), folder, run)
    rows_file = folder / SCORED_ROWS_FILE
    rows = tuple(read_scored_rows(rows_file)) if _has_content(rows_file) else None
    return Scored(results.dataset.split or real_path(folder).name, results, rows, folder)


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _finite(row: dict[str, object]) -> dict[str, object]:
    # JSON written by Python may hold NaN, which no axis can show.
    return {k: v for k, v in row.items() if not isinstance(v, float) or math.isfinite(v)}
