"""Building a report from folders of files, and putting it where it may go."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from reasondistill.errors import DataError, OutputError
from reasondistill.reporting import html, markdown
from reasondistill.reporting.inputs import comparison_of, load_sources, with_generalisation
from reasondistill.reporting.sections.compose import compose
from reasondistill.storage.files import atomic_write, real_path, require_place, writing

_HEAD = 2048  # characters in which both files name their generator


class ReportFiles(NamedTuple):
    """Where a report lies; ``figures`` holds the PNG files that report.md shows."""

    markdown: Path
    html: Path
    figures: Path


def build_report(sources: Sequence[Path], out: Path) -> ReportFiles:
    """Write report.md, report.html and figures/ for one or several run or results folders.

    ``out`` is a new or empty folder, one of the sources themselves, or a folder with an earlier report. An earlier
    report is rebuilt in place; nothing else there is touched, and nothing is ever deleted. The same sources give the
    same bytes.

    Raises:
        DataError: a source is neither a run nor a results folder, or is named twice, or one of its files is broken.
        OutputError: ``out`` holds other files, or a report.md, report.html or figures/ that this tool did not make.
    """
    files = ReportFiles(out / "report.md", out / "report.html", out / "figures")
    _require_each_once(sources)
    _require_room(files, require_place(out), sources)
    loaded = [with_generalisation(source) for source in load_sources(sources)]
    document = compose(loaded, comparison_of(loaded))
    page, text = html.to_html(document), markdown.to_markdown(document)
    with writing(files.figures):
        files.figures.mkdir(parents=True, exist_ok=True)
        for drawing in document.drawings:
            _write_bytes(files.figures / f"{drawing.name}.png", drawing.png)
    for path, content in ((files.markdown, text), (files.html, page)):
        with atomic_write(path) as stream:
            stream.write(content)
    return files


def source_folders(sources: str | PathLike[str] | Iterable[str | PathLike[str]]) -> list[Path]:
    """The folders of one source of a report or of several, each a run, or the path of a run or a results folder.

    Raises:
        DataError: there are none, or one is something else, such as what `evaluate` returns: it has no folder yet.
    """
    several = [*sources] if isinstance(sources, Iterable) and not isinstance(sources, str) else [sources]
    odd = [type(source).__name__ for source in several if not isinstance(source, str | PathLike)]
    if odd or not several:
        raise DataError(
            "run",
            expected="a run or its folder, or several of them",
            found=odd[0] if odd else "none",
            fix="Save what `evaluate` returned, and name that folder: evaluation.save(folder).",
        )
    return [Path(source) for source in several]


def _require_each_once(sources: Sequence[Path]) -> None:
    if twice := [folder for folder, n in Counter(map(real_path, sources)).items() if n > 1]:
        raise DataError(
            twice[0],
            expected="each run, or folder of results, once",
            found="it more than once",
            fix="Name it once; of a run's other splits, name the folders: RUN/results/SPLIT.",
        )


def _require_room(files: ReportFiles, out: Path, sources: Sequence[Path]) -> None:
    if out.exists() and not out.is_dir():
        raise OutputError(out, expected="a folder", found="a file", fix="Name another folder.")
    earlier = {p: _is_ours(p) for p in (files.markdown, files.html) if p.exists()}
    foreign = [p for p, ours in earlier.items() if not ours]
    if files.figures.exists() and not earlier and any(files.figures.iterdir()):
        foreign.append(files.figures)
    if foreign:
        raise OutputError(
            foreign[0],
            expected="nothing, or an earlier report",
            found="something that `reasondistill report` did not make",
            fix="Name another folder, or move it away: nothing is overwritten.",
        )
    is_source = any(real_path(out) == real_path(source) for source in sources)
    if out.is_dir() and any(out.iterdir()) and not earlier and not is_source:
        raise OutputError(
            out,
            expected="a new or empty folder, an earlier report, or the run itself",
            found="a folder with other files in it",
            fix="Name another folder: nothing is overwritten.",
        )


def _is_ours(path: Path) -> bool:
    with path.open(encoding="utf-8", errors="replace") as stream:
        head = stream.read(_HEAD)
    return head.startswith(markdown.GENERATOR) or f'name="generator" content="{html.GENERATOR}"' in head


def _write_bytes(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
