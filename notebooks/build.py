"""Makes the notebooks that readers see, with their figures, out of the .py files beside this one: `make notebooks`.

Each is executed in a folder of its own that is removed afterwards, on the data that REASONDISTILL_NOTEBOOK_DATA names,
by default `scenes`.
"""

from __future__ import annotations

import base64
import io
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PICTURES = HERE / "pictures"
PICTURE = "picture"
"""The tag of the cell whose figure stands in README.md."""
SECONDS = 600
COLOURS = 96
"""Of a figure: its few own ones, and their shades at the edges of lines and letters."""


def sources() -> list[Path]:
    """The notebooks' texts, in their order."""
    return sorted(HERE.glob("[0-9][0-9]_*.py"))


def read(source: Path) -> Any:
    """A text as a notebook without outputs: the same bytes of text give the same notebook."""
    import jupytext

    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells, 1):
        cell.id = f"cell-{number:02}"
    notebook.metadata = {
        "jupytext": {"formats": "ipynb,py:percent"},
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    }
    return notebook


def execute(notebook: Any, folder: Path) -> Any:
    """Run it top to bottom with ``folder`` as its place, and as that of everything that it writes.

    Raises:
        CellExecutionError: of nbclient; a cell raised.
    """
    from nbclient import NotebookClient

    settings = {
        "OMP_NUM_THREADS": "1",  # sums in one order: a run that goes on ends bit-equal to one that nobody stopped
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "PYTHONWARNINGS": "ignore:IProgress not found",  # tqdm wants widgets for bars that are switched off
        "PYTHONPATH": os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH")))),  # figures.py
        "TMPDIR": str(folder),
        "IPYTHONDIR": str(folder / ".ipython"),  # its history
    }
    client = NotebookClient(
        notebook,
        timeout=SECONDS,
        startup_timeout=SECONDS,
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
    )
    client.execute(env={**os.environ, **settings})
    notebook.metadata.pop("language_info", None)  # the patch version of Python, which changes nothing
    return notebook


def pictures(notebook: Any) -> list[bytes]:
    """The figures of the cell that is tagged for README.md."""
    outputs = [o for cell in notebook.cells if PICTURE in cell.metadata.get("tags", ()) for o in cell.outputs]
    return [base64.b64decode(o.data["image/png"]) for o in outputs if "image/png" in o.get("data", {})]


def lighten(notebook: Any) -> Any:
    """The same notebook with its figures in a palette of colours: a third of the bytes, and it looks the same."""
    from PIL import Image

    for output in (o for cell in notebook.cells for o in cell.get("outputs", ())):
        if "image/png" in output.get("data", {}):
            picture = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))
            small = io.BytesIO()
            picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(small, "png", optimize=True)
            output.data["image/png"] = base64.b64encode(small.getvalue()).decode("ascii")
    return notebook


def build(source: Path) -> None:
    """Execute one, and write it and its picture."""
    import nbformat

    with tempfile.TemporaryDirectory(prefix="reasondistill-notebook-") as folder:
        notebook = lighten(execute(read(source), Path(folder)))
    nbformat.write(notebook, source.with_suffix(".ipynb"))
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / f"{source.stem}.png").write_bytes(pictures(notebook)[0])


if __name__ == "__main__":
    wanted = sys.argv[1:]
    for source in sources():
        if not wanted or any(source.stem.startswith(one) for one in wanted):
            print(source.stem, flush=True)
            build(source)
