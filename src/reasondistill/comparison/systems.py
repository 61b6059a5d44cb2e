"""Reading the systems to compare: results.json and per_example.jsonl of each, and all that can be wrong with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, TypeAlias

from reasondistill.contracts.efficiency import Efficiency
from reasondistill.contracts.results import Results
from reasondistill.contracts.run import RUN_FILE, RunInfo, StudentSize
from reasondistill.contracts.scored_rows import SCORED_ROWS_FILE, ScoredRow, read_scored_rows
from reasondistill.data.splits import main_split
from reasondistill.errors import DataError
from reasondistill.storage.files import real_path

if TYPE_CHECKING:
    from reasondistill.evaluation import Evaluation

AnySystem: TypeAlias = "Evaluation | str | PathLike[str]"
RESULTS_FILE, COSTS_FILE = "results.json", "efficiency.json"


@dataclass(frozen=True)
class System:
    """One system's scores on one part of a data set.

    ``run`` is the run's folder where they lie in one; ``size`` what is known of the student without its costs.
    """

    name: str
    folder: Path
    results: Results
    rows: tuple[ScoredRow, ...]
    run: Path | None = None
    size: StudentSize | None = None

    @property
    def source(self) -> Path:
        """What names it: its run, where these are the results that a run is read for, or else its folder."""
        read = None if self.run is None else real_path(_results_folder(self.run))
        return self.run if self.run is not None and read == real_path(self.folder) else self.folder


def load_systems(specifications: Sequence[str | Path]) -> list[System]:
    """Read ``PATH`` or ``NAME=PATH``, each a results folder or a run; a name that came before gets a number.

    Without a name, a run's results are named after the run, others after their folder. Of a run, the results on test
    are read, or else those on validation.

    Raises:
        DataError: a folder holds no results, is named twice, or a file in it is broken.
    """
    systems: list[System] = []
    known: dict[Path, str] = {}
    for specification in specifications:
        name, folder = _parse(specification)
        folder = _results_folder(folder)
        if (before := known.get(real_path(folder))) is not None:
            raise DataError(
                specification,
                expected="a folder of its own for each system",
                found=f"the folder of {before}",
                fix="Name each folder once.",
            )
        known[real_path(folder)] = str(specification)
        systems.append(load_system(folder, name))
    return _apart(systems)


def as_systems(systems: Sequence[AnySystem] | Mapping[str, AnySystem]) -> list[System]:
    """Evaluations, and what `load_systems` reads: by name, or named after their folders, or numbered."""
    named = systems.items() if isinstance(systems, Mapping) else [(None, system) for system in systems]
    return _apart([_as_system(system, name, number) for number, (name, system) in enumerate(named, start=1)])


def _as_system(system: AnySystem, name: str | None, number: int) -> System:
    if isinstance(system, str | PathLike):
        return load_system(_results_folder(Path(system)), name)
    name = name or f"system {number}"
    return System(name, Path(name), system.results, tuple(system.rows))


def _apart(systems: Sequence[System]) -> list[System]:
    """With a number at each name that came before."""
    times: Counter[str] = Counter()
    made: list[System] = []
    for system in systems:
        times[system.name] += 1
        number = times[system.name]
        made.append(replace(system, name=f"{system.name} ({number})") if number > 1 else system)
    return made


def load_system(folder: Path, name: str | None = None) -> System:
    """Read one results folder.

    Where results.json holds no costs, they are those of an efficiency.json beside it, or else in the run's folder.

    Raises:
        DataError: results.json or per_example.jsonl is absent or broken, or the two do not belong together; or the
            costs are those of another student than results.json names.
    """
    for file, what in ((RESULTS_FILE, "results"), (SCORED_ROWS_FILE, "the scores of each row")):
        if not (folder / file).is_file():
            raise DataError(
                folder / file,
                expected=f"{what}, as `reasondistill evaluate` writes them",
                found="no such file",
                fix="Run `reasondistill evaluate` and name the folder that it wrote.",
            )
    results = Results.load(folder / RESULTS_FILE)
    rows = tuple(read_scored_rows(folder / SCORED_ROWS_FILE))
    if len(rows) != results.dataset.n:
        raise DataError(
            folder / SCORED_ROWS_FILE,
            expected=f"{results.dataset.n} rows, as {RESULTS_FILE} says",
            found=f"{len(rows)}",
            fix="Evaluate again: the two files must come from one evaluation.",
        )
    run = _run_of(folder)
    results = with_costs(results, folder, run)
    return System(name or _default_name(folder, run), folder, results, rows, run)


def with_costs(results: Results, *places: Path | None) -> Results:
    """Results that hold no costs with those of an efficiency.json in the first of ``places`` that has one.

    Raises:
        DataError: they are those of another student.
    """
    files = [place / COSTS_FILE for place in places if place is not None]
    file = next((file for file in files if file.is_file()), None)
    if results.efficiency is not None or file is None:
        return results
    return results.model_copy(update={"efficiency": _costs(file, results)})


def _costs(path: Path, results: Results) -> Efficiency:
    costs = Efficiency.load(path)
    measured, scored = costs.measured.student, results.settings.get("student")
    if scored not in (None, measured):
        raise DataError(
            path,
            expected=f"the costs of the student that {RESULTS_FILE} is about ({scored})",
            found=f"those of {measured}",
            fix="Measure that student (`reasondistill efficiency`), or move the file away.",
        )
    return costs


def _parse(specification: str | Path) -> tuple[str | None, Path]:
    text = str(specification)
    name, equals, path = text.partition("=")
    if isinstance(specification, Path) or not equals or Path(text).exists():
        return None, Path(text)
    if not name.strip() or not path:
        raise DataError(repr(text), expected="PATH or NAME=PATH", found="no name or no path")
    return name.strip(), Path(path)


def _results_folder(folder: Path) -> Path:
    """The folder itself, or of a run the one part that its headline speaks of."""
    if (folder / RESULTS_FILE).is_file():
        return folder
    if (folder / RUN_FILE).is_file():
        parts = {p.parent.name: p.parent for p in sorted(folder.glob(f"results/*/{RESULTS_FILE}"))}
        if (name := main_split(parts)) is not None:
            return parts[name]
        raise DataError(
            folder,
            expected="a run with results",
            found="none",
            fix=f"Evaluate it: reasondistill evaluate {quote(str(folder))}",
        )
    if folder.is_dir() and (folder / SCORED_ROWS_FILE).is_file():
        return folder  # load_system says what is absent
    found = (
        "nothing at this path" if not folder.exists() else "a file" if folder.is_file() else "neither in this folder"
    )
    raise DataError(
        folder,
        expected=f"a results folder (with {RESULTS_FILE} and {SCORED_ROWS_FILE}) or a run",
        found=found,
        fix="`reasondistill evaluate … --out DIR` makes DIR one.",
    )


def _run_of(folder: Path) -> Path | None:
    resolved = real_path(folder)
    inside = resolved.parent.name == "results" and (resolved.parent.parent / RUN_FILE).is_file()
    return resolved.parent.parent if inside else None


def _default_name(folder: Path, run: Path | None) -> str:
    if run is None:
        return real_path(folder).name
    return RunInfo.load(run / RUN_FILE).name or run.name
