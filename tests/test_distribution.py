"""The wheel and the sdist that `python -m build` makes install, and run the quickstart, in a fresh environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("src", "tests", "configs", "docs", "examples", "notebooks", "benchmarks")


def run(*command: object, cwd: Path, timeout: float = 900) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel and the sdist of a copy of the checkout, by `python -m build`, with the hatchling that is here."""
    for module in ("build", "hatchling"):
        pytest.importorskip(module, reason=f"{module} is not installed: `make setup` brings it")
    copy = tmp_path_factory.mktemp("checkout") / "reasondistill"
    copy.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "reference", "*.pyc")
    for name in PARTS:
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for file in ROOT.glob("*.*"):
        if file.is_file():
            shutil.copy(file, copy)
    for name in ("LICENSE", "Makefile"):
        shutil.copy(ROOT / name, copy)
    run(sys.executable, "-m", "build", "--no-isolation", cwd=copy)
    wheel, sdist = (next((copy / "dist").glob(pattern)) for pattern in ("*.whl", "*.tar.gz"))
    return {"wheel": wheel, "sdist": sdist}


def fresh_environment(folder: Path) -> Path:
    """An environment of its own that sees this one's packages, but for reasondistill: nothing is fetched."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    (site / "packages_of_the_tests.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return python


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_it_installs_and_runs_the_quickstart(kind: str, built: dict[str, Path], tmp_path: Path) -> None:
    python = fresh_environment(tmp_path / "fresh")
    options = ("--no-index", "--no-deps", "--no-build-isolation", "--ignore-installed")
    run(python, "-m", "pip", "install", *options, built[kind], cwd=tmp_path)
    place = run(python, "-c", "import reasondistill; print(reasondistill.__file__)", cwd=tmp_path).strip()
    assert Path(place).is_relative_to(tmp_path / "fresh")
    command = tmp_path / "fresh" / "bin" / "reasondistill"
    said = run(
        command, "explain", "builtin:scenes", "premise=A man is asleep.", "hypothesis=A man swims.", cwd=tmp_path
    )
    assert "contradiction" in said
    run(command, "quickstart", "--help", cwd=tmp_path)
    # What the quickstart does, with its own configuration, on fewer rows and steps.
    short = {"training.max_steps": 4, "training.eval_steps": 2, "training.save_steps": 2, "runs_dir": "out"}
    short |= {f"data.{part}.source": "scenes:300" for part in ("train", "validation")}
    changes = [word for key, value in short.items() for word in ("--set", f"{key}={value}")]
    config = Path(place).parent / "builtin" / "quickstart.yaml"
    run(command, "distil", config, "--no-faithfulness", *changes, cwd=tmp_path)
    assert (tmp_path / "out" / "scenes" / "report.html").is_file()


@pytest.mark.slow
def test_nothing_is_missing_and_nothing_foreign_is_in_them(built: dict[str, Path]) -> None:
    with zipfile.ZipFile(built["wheel"]) as wheel:
        names = set(wheel.namelist())
    there = {str(p.relative_to(ROOT / "src")) for p in (ROOT / "src" / "reasondistill").rglob("*") if p.is_file()}
    there = {name for name in there if "__pycache__" not in name}
    assert there <= names
    assert not [name for name in names if name.startswith("tests/") or name.endswith(".pyc")]
    with tarfile.open(built["sdist"]) as sdist:
        files = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"README.md", "LICENSE", "CHANGELOG.md", "docs/index.md", "docs/conf.py", "Makefile"} <= files


def test_the_version_stands_in_one_place() -> None:
    import reasondistill

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == version("reasondistill") == reasondistill.__version__
    assert f"\nversion: {project['version']}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    written = f'"{project["version"]}"'
    sources = (ROOT / "src" / "reasondistill").rglob("*.py")
    assert not [path for path in sources if written in path.read_text(encoding="utf-8")]
