"""What several test files build: examples, answers, files of rows, and the look at a mistake."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reasondistill.contracts.records import Example, Explanation, Prediction
from reasondistill.errors import DataError
from reasondistill.runs import Run


def pair(premise: str = "A man sleeps.", hypothesis: str = "A man is awake.", *, id: str = "1", **more: Any) -> Example:
    """A row of NLI."""
    return Example(id=id, fields={"premise": premise, "hypothesis": hypothesis}, **more)


def example(number: int, label: str | None = "neutral", references: tuple[str, ...] = (), **more: Any) -> Example:
    """A row of NLI whose number stands in both of its texts, so that two of them have most of their words in common."""
    return pair(
        f"A dog runs past {number} cats.",
        f"The dog chases {number} cats.",
        id=f"pair-{number}",
        label=label,
        explanations=[Explanation(text=text, source="human") for text in references],
        **more,
    )


def answer(number: int, label: str | None = "neutral", explanation: str = "", **more: Any) -> Prediction:
    """What a student answers `example`."""
    return Prediction(id=f"pair-{number}", label=label, explanation=explanation, **more)


def write_jsonl(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def change_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    value = json.loads(path.read_text(encoding="utf-8"))
    change(value)
    path.write_text(json.dumps(value), encoding="utf-8")


def facts_of(run: Run) -> dict[str, Any]:
    """What stands in run.json."""
    facts: dict[str, Any] = json.loads((run.folder / "run.json").read_text(encoding="utf-8"))
    return facts


def mistake(call: Callable[[], object], *named: str) -> None:
    """A call is refused for its data, with a sentence that names all of these."""
    with pytest.raises(DataError) as caught:
        call()
    for what in named:
        assert what in str(caught.value)
