"""The package's shape: no import upwards, `__init__.py` files that only hand on, a base without torch, the tree."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "reasondistill"

ARCHITECTURE = ROOT / "docs" / "architecture.md"


def tree_in(page: str) -> list[str]:
    """Paths in the fenced block that begins with ``reasondistill/``: two spaces a level, then a name, then remarks."""
    lines = page.splitlines()
    heads = [i for i, line in enumerate(lines[1:], 1) if line.startswith("reasondistill/") and "```" in lines[i - 1]]
    assert len(heads) == 1, "docs/architecture.md has no fenced block (or several) that begins with reasondistill/"
    paths: list[str] = []
    above: list[str] = []
    for line in lines[heads[0] + 1 :]:
        if line.startswith("```"):
            return paths
        name = line.strip().split("#")[0].split("  ")[0].strip()
        if not name:
            continue
        spaces = len(line) - len(line.lstrip(" "))
        assert spaces % 2 == 0, f"an odd indentation: {line!r}"
        depth = spaces // 2 - 1  # below reasondistill/ itself
        assert 0 <= depth <= len(above), f"indented deeper than what is above it: {line!r}"
        above = [*above[:depth], name.rstrip("/")]
        paths.append("/".join(above) + ("/" if name.endswith("/") else ""))
    raise AssertionError("the tree's block is never closed")


def rooms_in(page: str) -> tuple[str, ...]:
    """The package's rooms, from the ground up: what the tree lists right below ``src/reasondistill/``."""
    inside = [path.removeprefix("src/reasondistill/") for path in tree_in(page) if "src/reasondistill/" in path]
    return tuple(path.rstrip("/").removesuffix(".py") for path in inside if path and "/" not in path.rstrip("/"))


ORDER = rooms_in(ARCHITECTURE.read_text(encoding="utf-8"))
"""The way of the data: a module imports only from rooms before its own. A module in a folder counts as its folder."""


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def module_name(path: Path) -> str:
    """``reasondistill.students.build`` of its file; a package's name of its ``__init__.py``."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(text: str, package: str, modules: set[str]) -> Iterator[str]:
    """The package's own modules that a text imports, anywhere in it: in functions and for type checkers too."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "reasondistill")
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: package.count(".") + 2 - node.level]
                base = ".".join([*above, *([base] if base else [])])
            if base.split(".")[0] == "reasondistill":
                # `from package import name` names a module where there is one, else what __init__.py hands on.
                names = (f"{base}.{alias.name}" for alias in node.names)
                yield from (name if name in modules else base for name in names)


def place(module: str) -> str:
    """The part of a module's name that ORDER lists; the package itself has none."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def graph() -> dict[str, set[str]]:
    """Module → the modules that it imports."""
    modules = {module_name(path) for path in sources()}
    return {
        module_name(path): set(
            imported(path.read_text(encoding="utf-8"), module_name(path.parent / "__init__.py"), modules)
        )
        for path in sources()
    }


GRAPH = graph()


def test_every_module_has_its_place() -> None:
    rooms = {place(module) for module in GRAPH} - {""}
    assert rooms | {"builtin"} == set(ORDER)  # builtin/ holds files, no code
    assert len(ORDER) == len(set(ORDER))


@pytest.mark.parametrize("module", sorted(m for m in GRAPH if place(m)))
def test_no_module_imports_upwards(module: str) -> None:
    mine = ORDER.index(place(module))
    for other in GRAPH[module]:
        assert place(other), f"{module} imports the package itself, which imports nearly everything"
        if place(other) != place(module):
            assert ORDER.index(place(other)) < mine, f"{module} imports {other}, which is below it"


def test_no_modules_import_each_other_in_a_ring() -> None:
    assert len(list(TopologicalSorter(GRAPH).static_order())) == len(GRAPH)


def test_no_benchmarks_import_each_other_in_a_ring() -> None:
    texts = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "benchmarks").glob("*.py")}
    uses = {name: set(re.findall(r"^ *(?:from|import) (\w+)", text, re.M)) & set(texts) for name, text in texts.items()}
    assert "contender_process" in uses["training_speed"]
    assert len(list(TopologicalSorter(uses).static_order())) == len(texts)


def test_imports_are_found_wherever_they_are() -> None:
    """The checks above see through functions, type checking and relative imports."""
    text = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from reasondistill.contracts.results import Results\n"
        "def f():\n    import reasondistill.cli\n    from . import build, Checkpoint\n"
        "    from ..errors import UserError\n"
        "    from reasondistill import runs, Student\n    import numpy\n"
    )
    assert set(imported(text, "reasondistill.students", set(GRAPH))) == {
        "reasondistill",
        "reasondistill.contracts.results",
        "reasondistill.cli",
        "reasondistill.students.build",
        "reasondistill.students",
        "reasondistill.errors",
        "reasondistill.runs",
    }


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("__init__.py")), ids=lambda p: p.parent.name)
def test_init_files_define_nothing(path: Path) -> None:
    if path.parent == PACKAGE:
        return  # it hands names on when they are asked for: tests/test_api.py
    docstring, *rest = ast.parse(path.read_text(encoding="utf-8")).body
    assert isinstance(docstring, ast.Expr)
    assert isinstance(docstring.value, ast.Constant)
    for node in rest:
        if isinstance(node, ast.Assign):
            assert [ast.unparse(target) for target in node.targets] == ["__all__"]
            ast.literal_eval(node.value)
        else:
            assert isinstance(node, ast.Import | ast.ImportFrom), f"{path}:{node.lineno} defines something"


ROOMS = sorted(path.parent for path in PACKAGE.glob("*/__init__.py"))


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_room_says_what_lives_there_what_comes_in_and_what_goes_out(room: Path) -> None:
    text = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8"))) or ""
    head, _, rest = text.partition("\n\n")
    assert head.endswith("."), "a sentence on what lives there"
    assert re.match(r"In comes? .+; out goe?s? ", " ".join(rest.split())), "then what comes in and what goes out"
    assert 3 <= len(text.splitlines()) <= 8, "in a few lines"


ONE_SUBJECT = {
    "abstention": "measured, shown",
    "agreement": "measured, shown",
    "audit": "its file, its page",
    "feedback": "what the service keeps, its command",
    "comparison": "its file, its page",
    "federate": "done, its command",
    "efficiency": "its file, its command, its section",
    "error_analysis": "found, its block of results",
    "explanations": "their metrics, added to results",
    "faithfulness": "its details in results, its section",
    "judge": "a judge, its commands",
    "lexicon": "words and relations, their commands",
    "planning": "a training planned, an update of it, and said",
    "slices": "measured, their block of results",
    "structures": "a task's, their command",
    "sweep": "its file, its command, its page",
    "tradeoffs": "computed, their file, their page",
    "train": "done, its command",
    "update": "its file, its command",
    "verification": "its block of results, its section",
    "verbalized_confidence": "asked for, measured, added to results",
}
"""Names of several modules: each is one subject at these stages."""

SAYS_NOTHING = {"building", "errors", "loading", "packages", "running", "schema", "shares"}
"""Names that have stood for different things; `errors` in the package's root are what users get wrong."""


def test_a_name_stands_for_one_subject() -> None:
    paths = [path for path in sources() if path.stem not in ("__init__", "__main__")]
    names = Counter(path.stem for path in paths)
    assert {name for name, count in names.items() if count > 1} == set(ONE_SUBJECT)
    assert [path for path in paths if path.stem in SAYS_NOTHING and path != PACKAGE / "errors.py"] == []


def test_contributing_names_paths_that_are_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    paths = set(re.findall(r"`([\w./]+(?:\.py|\.md|\.txt|\.toml|/))`", text))
    assert len(paths) > 30
    assert [path for path in sorted(paths) if not any((base / path).exists() for base in (ROOT, PACKAGE))] == []


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_package_imports_no_heavy_library() -> None:
    heavy = ("torch", "transformers", "datasets", "tokenizers", "pandas", "pyarrow", "matplotlib", "sklearn", "scipy")
    assert python(f"import sys, reasondistill; print([m for m in {heavy} if m in sys.modules])") == "[]"


def test_the_base_install_is_enough_for_all_that_needs_no_model(without_extras: str) -> None:
    modules = [
        "cli",
        "config",
        "data",
        "data.audit",
        "metrics",
        "runs",
        "students",
        "students.package.opening",
        "teachers.teaching_run",
        "evaluation",
        "evaluation.efficiency",
        "comparison",
        "sweeps",
        "sweeps.processes",
        "sweeps.summary",
        "exporting",
        "reporting",
        "serving",
        "quickstart",
    ]
    imports = "\n".join(f"import reasondistill.{module}" for module in modules)
    missing = "import importlib.util; print([importlib.util.find_spec(name) for name in ('torch', 'transformers')])"
    assert python("\n".join([without_extras, imports, missing])) == "[None, None]"


# --- the annotated tree ---


def test_a_tree_is_read_by_its_indentation() -> None:
    text = (
        "# x\n```text\nreasondistill/\n  Makefile   two commands\n  src/reasondistill/\n    cli.py     # thin\n"
        "    students/  # made, saved\n      build.py\n  docs/        # words\n```\n"
    )
    assert tree_in(text) == [
        "Makefile",
        "src/reasondistill/",
        "src/reasondistill/cli.py",
        "src/reasondistill/students/",
        "src/reasondistill/students/build.py",
        "docs/",
    ]


def test_the_tree_matches_the_disk() -> None:
    paths = tree_in(ARCHITECTURE.read_text(encoding="utf-8"))
    for path in paths:
        assert (ROOT / path).exists(), f"docs/architecture.md lists {path}, which is not there"
        assert (ROOT / path).is_dir() == path.endswith("/"), f"{path}: a folder ends in /, a file does not"
    assert len(paths) == len(set(paths))
    entries = [p for p in PACKAGE.iterdir() if not p.name.startswith(".")]
    there = {f"src/reasondistill/{p.name}{'/' if p.is_dir() else ''}" for p in entries}
    skipped = {f"src/reasondistill/{name}" for name in ("__init__.py", "py.typed", "__pycache__/")}
    assert there - skipped - set(paths) == set(), "the tree in docs/architecture.md leaves these out"
