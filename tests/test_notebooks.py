"""Notebooks run top to bottom, on scenes and on real data; what is committed is what their texts make."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs the extra notebooks")
pytest.importorskip("jupytext", reason="needs the extra notebooks")

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
BUILD = runpy.run_path(str(FOLDER / "build.py"), run_name="build")
SOURCES: list[Path] = BUILD["sources"]()
STEMS = [source.stem for source in SOURCES]
QUICK = ("01", "02", "03")
LARGEST = 1_500_000
"""Bytes of all notebooks and pictures together, which every clone fetches."""


def written(stem: str) -> Any:
    return nbformat.read(FOLDER / f"{stem}.ipynb", as_version=4)


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


def run(source: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, data: str) -> Any:
    """The notebook with its outputs; all that it wrote lies in ``folder``."""
    monkeypatch.setenv("REASONDISTILL_NOTEBOOK_DATA", data)
    notebook = BUILD["execute"](BUILD["read"](source), folder)
    assert [o.text for o in outputs(notebook) if o.get("name") == "stderr"] == []
    return notebook


# --- what is committed ---


def test_there_are_six_and_each_has_a_pair() -> None:
    assert [stem[:2] for stem in STEMS] == ["01", "02", "03", "04", "05", "06"]
    assert [path.stem for path in sorted(FOLDER.glob("*.ipynb"))] == STEMS
    assert [path.stem for path in sorted(FOLDER.glob("pictures/*.png"))] == STEMS


@pytest.mark.parametrize("source", SOURCES, ids=STEMS)
def test_a_pair_has_the_same_cells(source: Path) -> None:
    text, notebook = BUILD["read"](source), written(source.stem)
    ours = [(cell.cell_type, cell.source, cell.id, dict(cell.metadata)) for cell in text.cells]
    theirs = [(cell.cell_type, cell.source, cell.id, dict(cell.metadata)) for cell in notebook.cells]
    assert theirs == ours, f"run `make notebooks NOTEBOOKS={source.stem[:2]}`"
    nbformat.validate(notebook)


@pytest.mark.parametrize("stem", STEMS)
def test_what_is_committed_was_run_in_order_and_without_a_complaint(stem: str) -> None:
    notebook = written(stem)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert {output.output_type for output in outputs(notebook)} <= {"stream", "display_data", "execute_result"}
    assert [output.text for output in outputs(notebook) if output.get("name") == "stderr"] == []
    told = "".join(str(o.get("text", "")) + str({k: v for k, v in o.get("data", {}).items() if k != "image/png"})
                   for o in outputs(notebook))  # fmt: skip
    assert not re.findall(r"(?:/tmp|/home|/root|/work|/usr|site-packages|0x[0-9a-f]{8})\S*", told)


@pytest.mark.parametrize("stem", STEMS)
def test_the_picture_in_the_readme_is_the_tagged_cell_s(stem: str) -> None:
    assert (FOLDER / "pictures" / f"{stem}.png").read_bytes() == BUILD["pictures"](written(stem))[0]
    assert f"pictures/{stem}.png" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_together_they_are_small() -> None:
    files = [*FOLDER.glob("*.ipynb"), *FOLDER.glob("pictures/*")]
    assert sum(file.stat().st_size for file in files) <= LARGEST


# --- running them ---


@pytest.mark.parametrize(
    "source",
    [pytest.param(s, id=s.stem, marks=[] if s.stem[:2] in QUICK else [pytest.mark.slow]) for s in SOURCES],
)
def test_a_notebook_runs_on_scenes(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.stat().st_mtime_ns for path in FOLDER.rglob("*")}
    notebook = run(source, tmp_path, monkeypatch, "scenes")
    assert BUILD["pictures"](notebook)
    after = {path: path.stat().st_mtime_ns for path in FOLDER.rglob("*")}
    assert {path for path in after if "__pycache__" not in path.parts and after[path] != before.get(path)} == set()


@pytest.mark.real
@pytest.mark.parametrize("source", [s for s in SOURCES if s.stem[:2] in ("01", "02")], ids=STEMS[:2])
def test_a_notebook_runs_on_esnli(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data_folder: Path
) -> None:
    file = data_folder / "e-snli" / "esnli_dev.csv"
    if not file.is_file():
        pytest.skip(f"no {file}")
    notebook = run(source, tmp_path, monkeypatch, str(file))
    shown = "".join(str(output) for output in outputs(notebook))
    assert "esnli_dev" in shown if source.stem.startswith("01") else "pieces are used" in shown
    assert "scenes:" not in shown
