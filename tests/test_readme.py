"""The README's Python examples run as printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reasondistill.runs import find_student

README = Path(__file__).resolve().parents[1] / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(encoding="utf-8"), flags=re.M | re.S)


def test_a_table_becomes_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = {"billing": "the invoice shows a charge", "bug": "the app closes at once", "idea": "please add a theme"}
    rows = [f"{words} number {n},{kind},it says that {words}" for n in range(12) for kind, words in kinds.items()]
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "tickets.csv").write_text("\n".join(["text,category,why", *rows]), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    example, _ = blocks("python")
    assert len(example.strip().splitlines()) <= 10
    exec(compile(example, str(README), "exec"), {})
    accuracy, report, answer = capsys.readouterr().out.splitlines()
    assert 0 <= float(accuracy) <= 1
    assert (tmp_path / report).is_file()
    assert answer.split()[0] in kinds


def test_the_shipped_student_answers(capsys: pytest.CaptureFixture[str]) -> None:
    _, example = blocks("python")
    exec(compile(example, str(README), "exec"), {})
    printed = capsys.readouterr().out
    assert "contradiction" in printed
    assert len(printed.splitlines()) == 2


def test_the_pages_and_files_that_it_names_are_there() -> None:
    text = README.read_text(encoding="utf-8")
    links: list[str] = re.findall(r"\]\((?!https?:)([^)#]+)", text) + re.findall(r"\bexamples/[\w.]+", text)
    assert len(links) > 10
    missing = [link for link in links if not (README.parent / link).exists()]
    assert not missing


def test_every_reasondistill_command_in_the_readme_exists() -> None:
    from typer.main import get_command

    from reasondistill.cli import app

    commands = get_command(app).commands  # type: ignore[attr-defined]
    used = [
        line.split() for block in blocks("bash") for line in block.splitlines() if line.startswith("reasondistill ")
    ]
    assert used
    for words in used:
        assert words[1] in commands, f"README uses {' '.join(words[:2])}"


def test_the_shipped_student_is_small_and_safe() -> None:
    folder = find_student("builtin:scenes")
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 4_000_000
    assert (folder / "model.safetensors").is_file()
    assert not [path for path in folder.iterdir() if path.suffix in (".bin", ".pt", ".pkl")]
