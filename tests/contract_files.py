"""A small file of each contract, as the code of its version wrote it: tests/data/NAME_version_N.json.

``python tests/contract_files.py`` writes those of today's versions that are not there yet. Files that are there are
never written again: they are what users of that version have.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from costed import efficiency, three_sizes
from reasondistill.comparison import ComparisonSettings, System, compare, generalisation, load_systems, shift
from reasondistill.config import Update
from reasondistill.contracts.efficiency import Efficiency
from reasondistill.contracts.update import AnsweredSet, UpdateRecord
from reasondistill.data import load, task_of
from reasondistill.data.audit import audit
from reasondistill.data.scenes import generate
from reasondistill.reporting.pages.comparison import write_comparison
from reasondistill.updating.held_figures import figures, not_shown, sentence
from reasondistill.updating.task_matrix import matrices

TESTS = Path(__file__).resolve().parent
DATA, INVARIANTS = TESTS / "data", TESTS / "invariants"
FEW = ComparisonSettings(resamples=20, swaps=19)


def todays_files() -> Iterator[tuple[str, str]]:
    """Name → content of a file of each contract; writes into the current folder."""
    folders = three_sizes(Path("sizes"), generate(12))
    yield "results", (folders[0] / "results.json").read_text(encoding="utf-8")
    yield "efficiency", Efficiency.model_validate(efficiency(6_000_000, 12.0)).model_dump_json()
    files = write_comparison(
        compare(load_systems(folders[::2]), metrics=["label_accuracy", "rougeL"], settings=FEW), Path("compared")
    )
    yield "comparison", files.json.read_text(encoding="utf-8")
    train, test = three_sizes(Path("train"), generate(12, seed=2))[0], folders[0]
    yield "generalisation", generalisation(*load_systems([train, test]), settings=FEW).model_dump_json()
    base, *others = load_systems([test, train, folders[1]])
    yield "shift", shift(base, others, settings=FEW).model_dump_json()
    yield "update", update_of(others[1], base).model_dump_json()
    yield "audit", audit(load("scenes:20@1"), task=task_of("scenes")).model_dump_json()
    golden = {"run": "golden/run.json", "summary": "golden/summary.json", "sweep": "inputs/sweep/sweep.json"}
    for name, path in golden.items():
        yield name, (INVARIANTS / path).read_text(encoding="utf-8")
    yield "predictions", (INVARIANTS / "inputs" / "shipped.meta.json").read_text(encoding="utf-8")


def update_of(child: System, parent: System) -> UpdateRecord:
    """The record of an update that made ``child`` of ``parent``."""
    sets = [
        AnsweredSet(
            name=parent.name,
            kind="kept",
            split="test",
            decides=True,
            dataset=parent.results.dataset,
            results=("update/kept-1-test/parent", "update/kept-1-test/child"),
            figures=figures(child, parent, Update(parent="runs/parent", replay=0.05)),
        )
    ]
    steps, tasks, filled = matrices(sets, "parent", "child", None)
    reasons = [sentence(tested, figure) for tested, figure in not_shown(sets)]
    return UpdateRecord(
        published=not reasons,
        reasons=reasons,
        parent="runs/parent",
        parent_student="p",
        student="c",
        strategy={"replay": 0.05, "lora": None},
        sets=sets,
        steps=steps,
        tasks=tasks,
        matrices=filled,
        seconds={"training": 1.0},
    )


def _write() -> None:
    for name, text in todays_files():
        value = json.loads(text)
        path = DATA / f"{name}_version_{value['schema_version']}.json"
        if not path.exists():
            path.write_text(json.dumps(value, ensure_ascii=False) + "\n", encoding="utf-8")
            print(path.relative_to(TESTS))


if __name__ == "__main__":
    sys.path.insert(0, str(TESTS))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        _write()
