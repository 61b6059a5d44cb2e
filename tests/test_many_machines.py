"""The recipe for several machines, with two actors on this one: the same predictions in the same order."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from reasondistill.contracts.records import read_predictions
from reasondistill.data import load
from reasondistill.data.writing import convert
from reasondistill.errors import OutputError
from reasondistill.students.student import Student

SCRIPT = Path(__file__).resolve().parents[1] / "examples" / "predict_with_ray.py"


@pytest.fixture
def recipe() -> Any:
    pytest.importorskip("transformers")
    return runpy.run_path(str(SCRIPT))


def test_an_actor_answers_rows_as_they_were_converted(recipe: Any, tmp_path: Path) -> None:
    examples = load("scenes:8").examples
    convert(load("scenes:8"), tmp_path / "examples.jsonl")
    lines = (tmp_path / "examples.jsonl").read_text(encoding="utf-8").splitlines()
    answered = recipe["Answerer"]("builtin:scenes")({"text": lines})
    (tmp_path / "answers.jsonl").write_text("".join(answered["line"]), encoding="utf-8")
    assert list(read_predictions(tmp_path / "answers.jsonl")) == Student.load("builtin:scenes").predict(examples)


@pytest.fixture
def ray() -> Iterator[Any]:
    ray = pytest.importorskip("ray", reason='ray is not installed: pip install "reasondistill[ray]"')
    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()


@pytest.mark.slow
def test_two_actors_predict_as_one_student(ray: Any, tmp_path: Path) -> None:
    data = load("scenes:100")
    convert(data, tmp_path / "examples.jsonl")
    # Actors are sent the module itself: they could not import it by its name.
    spec = spec_from_file_location("predict_with_ray", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    ray.cloudpickle.register_pickle_by_value(module)
    out = tmp_path / "said.jsonl"
    module.predict("builtin:scenes", str(tmp_path / "examples.jsonl"), out, actors=2, batch=25)
    found = list(read_predictions(out))
    assert [p.id for p in found] == [e.id for e in data.examples]
    expected = Student.load("builtin:scenes").predict(data.examples)
    assert [(p.label, p.explanation) for p in found] == [(p.label, p.explanation) for p in expected]
    with pytest.raises(OutputError, match="expected a new file"):
        module.predict("builtin:scenes", str(tmp_path / "examples.jsonl"), out)
