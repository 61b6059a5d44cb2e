"""docs/python_api.md: its examples run, one after the other, and it names all that the package offers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import model_hub
import reasondistill as rd

PAGE = Path(__file__).resolve().parents[1] / "docs" / "python_api.md"
KINDS = {"billing": "The invoice shows a charge", "bug": "The app closes at once", "idea": "Please add a theme"}


def write_table(file: Path, numbers: range) -> None:
    rows = [f"{words} number {i},{kind},it says so" for i in numbers for kind, words in KINDS.items()]
    file.write_text("\n".join(["text,category,why", *rows]), encoding="utf-8")


def test_the_examples_run_one_after_the_other(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.M | re.S)
    assert len(blocks) > 10
    write_table(tmp_path / "tickets.csv", range(14))
    write_table(tmp_path / "more_tickets.csv", range(14, 34))
    (tmp_path / "page.py").write_text("\n".join(blocks), encoding="utf-8")
    with model_hub.running() as hub:
        environment = os.environ | {
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": model_hub.TOKEN,
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
            "NO_PROXY": "127.0.0.1",
        }
        done = subprocess.run(
            [sys.executable, "page.py"], env=environment, capture_output=True, text=True, timeout=600, cwd=tmp_path
        )
    assert done.returncode == 0, done.stderr
    run = tmp_path / "experiments" / "runs" / "tickets"
    for made in ("predictions/test.jsonl", "results/test/results.json", "report.html", "package/package.json"):
        assert (run / made).is_file(), made
    assert "nowhere: expected" in done.stdout
    assert [*hub.repositories] == ["me/tickets"]


def test_the_page_names_all_that_there_is() -> None:
    page = PAGE.read_text(encoding="utf-8")
    records = {"Example", "Explanation", "Prediction", "Task", "__version__"}  # what comes out of the others
    assert [name for name in rd.__all__ if name not in records and f"`{name}" not in page] == []
