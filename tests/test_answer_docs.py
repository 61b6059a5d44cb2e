"""The worked examples of docs/answers.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs" / "answers.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_worked_examples_run(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sqlglot")
    monkeypatch.chdir(tmp_path)
    assert len(EXAMPLES) == 2
    assert "assert" in EXAMPLES[number]
    exec(EXAMPLES[number], {})
