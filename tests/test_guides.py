"""Every command of the guides runs as printed, one after the other, in a fresh folder."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from forked import Forked
from scripted_server import Reply, Sent, answer_text, completion, serving
from services import running

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs" / "guides").glob("*.md")), ROOT / "docs" / "getting_started.md")
NOT_RUN = ("python3 -m venv", ".venv/bin/pip install", "pip install", "source ")
"""Lines that make the environment which the tests run in."""
SERVER = "http://127.0.0.1:11434/v1"
"""Where the guides expect a model; the tests have a scripted one at another port."""
KINDS = {
    "billing": ("The invoice of {} shows a charge", "A charge on an invoice is about money and this one is from {}."),
    "bug": ("The app closes when I open the map of {}", "An app that closes is broken and here it was the map of {}."),
    "idea": ("Please add a dark theme to the page of {}", "The customer wishes for something new on the page of {}."),
}
PLACES = ("Turin", "Oslo", "Porto", "Lyon", "Bergen", "Ghent", "Krakow", "Split", "Cork", "Graz", "Basel", "Malmo")


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def commands(page: Path) -> list[str]:
    """The lines of a page's shell blocks, without those that make the environment, and without comments."""
    lines = [line.strip() for block in blocks(page, "bash") for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith((*NOT_RUN, "#"))]


def explained(sent: Sent) -> Reply:
    """The scripted teacher: the explanation of the ticket's kind, with the place that it names."""
    for start, reason in KINDS.values():
        if match := re.search(re.escape(start).replace(r"\{\}", r"(\w+)"), sent.question):
            return completion(sent, answer_text(sent, explanation=reason.format(match[1])))
    return completion(sent)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout as the pages see it, with a small table in place of the shipped one."""
    rows = [
        f"{start.format(place)} {number}.,{kind},{reason.format(place)}"
        for number in range(2)
        for place in PLACES
        for kind, (start, reason) in KINDS.items()
    ]
    (tmp_path / "examples").mkdir()
    table = tmp_path / "examples" / "tickets.csv"
    table.write_text("\n".join(["text,category,why", *rows]), encoding="utf-8")
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    return tmp_path


def test_every_page_has_commands_and_each_is_one_of_ours() -> None:
    for page in PAGES:
        assert commands(page), page
        assert {line.split()[0] for line in commands(page)} == {"reasondistill"}, page


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES[1:], ids=lambda page: page.stem)  # the README's are those of its guides
def test_the_commands_run_one_after_the_other(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")
    with serving(explained) as server:
        for line in commands(page):
            words = shlex.split(line.replace(SERVER, server.url))[1:]
            if words[0] == "serve":
                served = [word for word in words[1:] if not word.startswith("--port") and not word.isdigit()]
                with running(*served) as service:
                    assert service.http.get("/ready").status_code == 200
                continue
            process = Forked(words)
            out, err = process.communicate(timeout=900)
            assert process.returncode == 0, f"{line}\n{out[-2000:]}{err[-3000:]}"
        for number, block in enumerate(blocks(page, "python") if page.parent.name == "guides" else []):
            (folder / f"block_{number}.py").write_text(block, encoding="utf-8")
            done = subprocess.run([sys.executable, f"block_{number}.py"], capture_output=True, text=True, timeout=900)
            assert done.returncode == 0, f"{block}\n{done.stderr[-3000:]}"
