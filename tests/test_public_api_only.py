"""Notebooks, examples and README use nothing of the package but what `import reasondistill` offers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import reasondistill as rd

ROOT = Path(__file__).resolve().parents[1]
BESIDE = {ROOT / "notebooks" / name for name in ("build.py", "figures.py")}
"""What draws and makes the notebooks is no example of how the package is used."""
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def texts() -> Iterator[tuple[str, str]]:
    """Name → Python text."""
    for folder in ("notebooks", "examples"):
        for path in sorted((ROOT / folder).glob("*.py")):
            if path not in BESIDE:
                yield f"{folder}/{path.name}", path.read_text(encoding="utf-8")
    for number, block in enumerate(_BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8")), start=1):
        yield f"README.md, block {number}", block


def not_public(text: str) -> list[str]:
    """Imports from inside the package, and names that it does not offer."""
    problems, ours = [], set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name == "reasondistill":
                    ours.add(alias.asname or alias.name)
                elif alias.name.startswith("reasondistill."):
                    problems.append(alias.name)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "reasondistill":
            names = [
                alias.name for alias in node.names if node.module != "reasondistill" or alias.name not in rd.__all__
            ]
            problems += [f"{node.module}.{name}" for name in names]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ours:
            problems += [f"{node.value.id}.{node.attr}"] * (node.attr not in rd.__all__)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
            module, name = node.value, node.attr
            if (
                isinstance(module.value, ast.Name)
                and module.value.id in ours
                and module.attr in ("inspection", "metrics")
            ):
                problems += [f"{module.attr}.{name}"] * (not hasattr(getattr(rd, module.attr), name))
    return sorted(problems)


def test_the_search_finds_what_is_not_public() -> None:
    text = "import reasondistill as rd, reasondistill.runs\nfrom reasondistill.data import load\nrd.train\nrd.nothing\n"
    text += "from reasondistill import Student, loaded\nrd.metrics.ece\nrd.metrics.nothing\n"
    assert not_public(text) == [
        "metrics.nothing", "rd.nothing", "reasondistill.data.load", "reasondistill.loaded", "reasondistill.runs",
    ]  # fmt: skip


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in texts()])
def test_only_the_public_api_is_used(text: str) -> None:
    assert not_public(text) == []
