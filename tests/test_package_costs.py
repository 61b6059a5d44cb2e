"""What a package costs to run, and the ways that make it cheap: one pass for all labels, all workers, nothing twice."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import packaging_helpers as made
import tiny
from reasondistill.cli.commands import app
from reasondistill.config import Generation
from reasondistill.contracts.records import Example
from reasondistill.evaluation.efficiency import EfficiencySettings, measure
from reasondistill.evaluation.efficiency.engine_costs import costs_of
from reasondistill.evaluation.efficiency.torch_costs import count_flops, count_parameters
from reasondistill.exporting import export
from reasondistill.exporting.sizes import architecture_of
from reasondistill.storage.launched import usable_cores
from reasondistill.students.codec import CONTEXT, EXPLANATION, LABEL, EncodedTarget
from reasondistill.students.engines.architecture import Architecture
from reasondistill.students.engines.forced_paths import LONGEST, path_of, paths_for
from reasondistill.students.forward import encode
from reasondistill.students.package import opening as loading
from reasondistill.students.package.manifest import Manifest
from reasondistill.students.prediction_files import maker_of, predict_file
from reasondistill.students.student import Student

pytest.importorskip("ctranslate2")


def target(ids: Sequence[int], *, context: int = 0, end: bool = False) -> EncodedTarget:
    """A label's tokens after a context's, and perhaps an end's."""
    roles = [CONTEXT] * context + [LABEL] * (len(ids) - context) + [EXPLANATION] * end
    return EncodedTarget([*ids, *([1] if end else [])], roles, truncated=False)


# --- which forced texts tell all scores ---


@pytest.mark.parametrize(
    ("labels", "paths"),
    [
        ([[5], [6], [7]], [()]),
        ([[2, 3, 4], [6], [7]], [(2, 3)]),
        ([[2, 3], [4, 5], [7]], [(2,), (4,)]),
        ([[2, 3], [2, 4], [2, 5]], [(2,)]),
        ([[2, 3], [4, 5], [6, 7]], None),  # three paths for three labels are no gain
        ([[5]], None),
        ([], None),
    ],
)
def test_paths_worked_by_hand(labels: list[list[int]], paths: list[tuple[int, ...]] | None) -> None:
    assert paths_for([target(ids) for ids in labels], LABEL) == paths


def test_ends_contexts_and_long_texts() -> None:
    assert paths_for([target([5], end=True), target([6], end=True)], LABEL) == [()]
    assert paths_for([target([9, 8, k], context=2) for k in (5, 6)], LABEL) == [(9, 8)]
    long = [target([9] * (LONGEST + 1) + [k], context=LONGEST + 1) for k in (5, 6)]
    assert paths_for(long, LABEL) is None
    assert paths_for([target([5]), target([6])], EXPLANATION) == []
    assert path_of(target([5]), EXPLANATION, []) is None


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=4), min_size=1, max_size=6))
def test_every_target_lies_on_one_of_the_paths(labels: list[list[int]]) -> None:
    targets = [target(ids) for ids in labels]
    paths = paths_for(targets, LABEL)
    if paths is not None:
        assert len(paths) < len(targets)
        for ids, one in zip(labels, targets, strict=True):
            path = path_of(one, LABEL, paths)
            assert path is not None
            assert list(path[: len(ids) - 1]) == ids[:-1]


class Watched:
    """A translator whose calls are counted."""

    def __init__(self, translator: Any) -> None:
        self.translator = translator
        self.calls: list[tuple[str, int]] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.translator, name)
        if name not in ("translate_batch", "score_batch"):
            return found

        def call(sources: Any, *arguments: Any, **options: Any) -> Any:
            self.calls.append((name, len(sources)))
            return found(sources, *arguments, **options)

        return call


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return made.engine(tiny.student("t5"), tmp_path_factory.mktemp("p") / "package")


def test_labels_are_scored_in_one_pass_over_each_prompt(tmp_path: Path) -> None:
    """`neutral` and `contradiction` are a token each in the shipped student's vocabulary, or share their way."""
    from reasondistill.runs import find_student
    from reasondistill.students.checkpoint import load_checkpoint
    from reasondistill.tasks.task import choice_targets

    shipped = made.engine(load_checkpoint(find_student("builtin:scenes")), tmp_path / "p")
    targets = [choice_targets("label_first", made.LABELS, None)] * len(made.PROMPTS)
    alone = [[shipped.score([p], [[t]])[0][0] for t in row] for p, row in zip(made.PROMPTS, targets, strict=True)]
    shipped.translator = Watched(shipped.translator)
    found = shipped.score(made.PROMPTS, targets)
    assert {name for name, _ in shipped.translator.calls} == {"translate_batch"}
    assert sum(n for _, n in shipped.translator.calls) < 3 * len(made.PROMPTS)
    for one, other in zip(found, alone, strict=True):
        assert one == pytest.approx(other, abs=1e-4)


def test_prompts_that_recur_are_answered_once(engine: Any) -> None:
    asked = replace(_student(engine), engine=replace_translator(engine))
    once = asked.predict(made.EXAMPLES[:2])
    calls = list(asked.engine.translator.calls)  # type: ignore[attr-defined]
    again = [e.model_copy(update={"id": f"{e.id}-{k}"}) for k in range(3) for e in made.EXAMPLES[:2]]
    found = asked.predict(again)
    assert asked.engine.translator.calls == calls * 2  # type: ignore[attr-defined]
    assert [(p.label, p.explanation) for p in found] == [(p.label, p.explanation) for p in once] * 3
    assert [p.id for p in found] == [e.id for e in again]


def replace_translator(engine: Any) -> Any:
    watched = engine.limited(64)
    watched.translator = Watched(engine.translator)
    return watched


def _student(engine: Any) -> Student:
    from reasondistill.tasks.task import NLI

    return Student(engine, NLI, "label_first", Generation(num_beams=1, max_new_tokens=4), fingerprint="s")


def test_several_workers_change_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    checkpoint, examples = tiny.student("t5"), made.EXAMPLES * 3
    answers = []
    for workers in (1, 3):
        monkeypatch.setattr(loading, "usable_cores", lambda n=workers: n)
        monkeypatch.setattr(loading, "_CPU_BATCH", {"max_tokens": 64, "max_rows": 2})
        opened = made.engine(checkpoint, tmp_path / f"p{workers}")
        assert costs_of(opened).threads == workers
        answers.append(_student(opened).predict(examples))
    assert answers[0] == answers[1]


def test_cores_are_those_that_are_asked_for_or_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert usable_cores() == 3
    for text in ("", "0", "all"):
        monkeypatch.setenv("OMP_NUM_THREADS", text)
        assert usable_cores() >= 1


# --- operations ---


def test_operations_worked_by_hand() -> None:
    sizes = Architecture(
        encoder_layers=2, decoder_layers=1, d_model=3, encoder_attention=4, decoder_attention=4, encoder_ff=5,
        decoder_ff=6, ff_matrices=2, vocabulary=7, embedding_parameters=0, other_parameters=0, trainable_parameters=0,
    )  # fmt: skip
    # A token and layer: q, k, v, o 4 × 2·3·4 = 96, feed-forward 2 × 2·3·5 = 60; attention over 10: 2 × 2·4·10 = 160.
    assert sizes.encoder_flops(10) == 2 * 10 * (96 + 60 + 160)
    # Keys and values of 10 tokens 2 × 2·3·4·10 = 480; a step: own q, k, v, o 96, cross q, o 48, feed-forward 72, cross
    # attention 160, and own attention over 1, then 2 tokens: 16, 32; head 2·3·7 = 42.
    assert sizes.decoder_flops(10, 2, 1) == 480 + 2 * (96 + 48 + 72 + 160) + 16 + 32 + 2 * 42
    assert sizes.decoder_flops(10, 2, 3) - 480 == 3 * (sizes.decoder_flops(10, 2, 1) - 480)


@pytest.mark.parametrize("family", ["t5", "flan-t5", "mt5", "bart", "warm-start"])
def test_the_formula_is_what_pytorch_counts(family: str, tmp_path: Path) -> None:
    """One prompt and one step: there transformers, too, makes keys and values once."""
    student = made.warm_start(tmp_path) if family == "warm-start" else tiny.student(family)
    model, sizes = student.model.eval(), architecture_of(student.model)
    ids = torch.arange(11)[None] + 5
    with torch.inference_mode():
        states, encoder = count_flops(lambda: encode(model, ids, torch.ones_like(ids)))
        from transformers.modeling_outputs import BaseModelOutput

        output = BaseModelOutput(last_hidden_state=states)
        _, decoder = count_flops(lambda: model(encoder_outputs=output, decoder_input_ids=ids[:, :1], use_cache=False))
    assert sizes.encoder_flops(11) == encoder
    assert sizes.decoder_flops(11, 1, 1) == decoder
    counted = count_parameters(model)
    assert sizes.embedding_parameters + sizes.other_parameters == counted.total


def test_what_rows_took_is_noted(engine: Any) -> None:
    engine.work = []
    try:
        engine.generate(made.PROMPTS[:2], ["neutral explanation:"] * 2, Generation(num_beams=2, max_new_tokens=3))
        lengths = [len(ids) for ids in engine.codec.encode_prompts(made.PROMPTS[:2])]
        prefix = len(engine.codec.encode_prefix("neutral explanation:")) - 1
        assert sorted(w.source for w in engine.work) == sorted(lengths)
        assert {w.beams for w in engine.work} == {2}
        assert all(prefix < w.steps <= prefix + 3 for w in engine.work)
    finally:
        engine.work = None


# --- commands over a package ---


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sample = None
    return export("builtin:scenes", tmp_path_factory.mktemp("packages") / "int8", sample=sample).folder


def test_a_package_states_its_sizes(package: Path) -> None:
    manifest = Manifest.load(package)
    assert manifest.schema_version == 2
    assert manifest.architecture is not None
    assert manifest.architecture.embedding_parameters + manifest.architecture.other_parameters == (
        manifest.student.parameters
    )
    assert manifest.parity.probability_difference_p95 is not None
    assert manifest.parity.probability_difference_p95 <= (manifest.parity.probability_difference or 0)


def test_a_package_is_measured_whole(package: Path) -> None:
    found = measure(package, made.EXAMPLES[:4], EfficiencySettings(examples=4, warm_up=1, batch_sizes=(2,)))
    assert found.measured.engine == "ctranslate2"
    assert found.measured.precision == "int8_float32"
    assert found.measured.device == "cpu"
    assert found.parameters is not None
    assert found.parameters.total == Manifest.load(package).student.parameters
    assert found.flops_per_example is not None
    assert found.flops_per_example.explanation > found.flops_per_example.label > 0
    assert [one.max_rows for one in found.throughput.tried] == [1, 2]
    assert found.weights_bytes == (package / "model.bin").stat().st_size
    assert set(found.not_measured) <= {"energy_joules_per_example"}
    assert found.memory is not None


def test_a_package_of_the_first_version_is_read_and_says_what_it_does_not_tell(package: Path, tmp_path: Path) -> None:
    import shutil

    old = shutil.copytree(package, tmp_path / "old")
    value = json.loads((old / "package.json").read_text(encoding="utf-8"))
    del value["architecture"], value["parity"]["probability_difference_p95"]
    del value["parity"]["limits"]["probability_difference_p95"]
    (old / "package.json").write_text(json.dumps(value | {"schema_version": 1}), encoding="utf-8")
    assert Manifest.load(old).fingerprint == Manifest.load(package).fingerprint
    costs = costs_of(Student.load(old).engine)
    assert costs.parameters() is None
    assert costs.count_flops(lambda: None) is None
    assert costs.threads == usable_cores()


def test_evaluate_takes_the_package_that_predicted(package: Path, tmp_path: Path) -> None:
    run = CliRunner()
    predicted = run.invoke(app, ["predict", str(package), "scenes:60", "--out", str(tmp_path / "said.jsonl")])
    assert predicted.exit_code == 0, predicted.output
    options = ["--student", str(package), "--faithfulness-limit", "3", "--no-efficiency", "--no-bertscore"]
    scored = run.invoke(
        app, ["evaluate", str(tmp_path / "said.jsonl"), "scenes:60", "--out", str(tmp_path / "results"), *options]
    )
    assert scored.exit_code == 0, scored.output
    results = json.loads((tmp_path / "results" / "results.json").read_text(encoding="utf-8"))
    assert results["faithfulness"]
    assert maker_of(tmp_path / "said.jsonl", package).fingerprint == Manifest.load(package).fingerprint


def test_explain_over_a_package_imports_neither_torch_nor_transformers(package: Path) -> None:
    code = (
        "import sys\nfrom reasondistill.cli.commands import app\n"
        f"sys.argv = ['reasondistill', 'explain', {str(package)!r}, 'premise=A dog runs.', 'hypothesis=It sleeps.']\n"
        "app(standalone_mode=False)\n"
        "print('imported', [m for m in ('torch', 'transformers', 'datasets') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("imported []")


def test_a_prediction_file_of_a_package_is_in_order(package: Path, tmp_path: Path) -> None:
    examples: list[Example] = made.EXAMPLES * 1
    out = predict_file(Student.load(package), examples, tmp_path / "out.jsonl", facts={})
    assert [json.loads(line)["id"] for line in out.read_text(encoding="utf-8").splitlines()] == [e.id for e in examples]
