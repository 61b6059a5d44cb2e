"""Sweeps that run: trials done once, isolated, compared at the end; and those that are shipped."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

import reasondistill as rd
from reasondistill.contracts.results import Results
from reasondistill.errors import ConfigError, OutputError
from reasondistill.reporting.pages.sweep import write_summary
from reasondistill.sweeps import SweepSummary, load_sweep, state
from reasondistill.sweeps.processes import run_sweep
from reasondistill.sweeps.state import begin, claimed, state_of
from reasondistill.sweeps.summary import summarise
from reasondistill.sweeps.trial import run_trial
from sweeping import EVALUATE, FEW, SCENES, cells, written

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reasondistill.sweeps.summary.ComparisonSettings", lambda: FEW)


# --- a sweep that is run, once for all tests of what it leaves ---


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Two seeds of a baseline, a variant that breaks, and two that go on from either."""
    folder = tmp_path_factory.mktemp("swept")
    path = written(
        folder,
        cells=[
            {"name": "base"},
            {"name": "broken", "seeds": [1], "set": {"data.validation": {"source": SCENES, "split": "train"}}},
            {"name": "lost", "seeds": [1], "after": "broken"},
            {"name": "later", "seeds": [1], "after": "base", "set": {"training.max_steps": 1, "order": "label_only"}},
        ],
        seeds=[1, 2],
        metrics=["label_accuracy", "rougeL", "bleu"],
    )
    sweep = load_sweep(path)
    begin(sweep)
    said: list[str] = []
    outcomes = run_sweep(sweep, jobs=0, say=said.append)
    return SimpleNamespace(path=path, sweep=sweep, outcomes=outcomes, said=said)


def test_a_broken_trial_is_isolated(swept: SimpleNamespace) -> None:
    errors = {outcome.trial.name: outcome.error for outcome in swept.outcomes}
    assert [name for name, error in errors.items() if error is None] == ["base-s1", "base-s2", "later-s1"]
    assert "groups that the training part does not have" in errors["broken-s1"]
    assert errors["lost-s1"] == "not begun: it starts from broken-s1, which failed"
    assert {trial.name: state_of(swept.sweep, trial) for trial in swept.sweep.trials} == {
        "base-s1": "finished",
        "base-s2": "finished",
        "broken-s1": "failed",
        "lost-s1": "waiting",
        "later-s1": "finished",
    }


def test_what_is_finished_is_not_done_again(swept: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def refuse(config: Any, *, resume: bool) -> None:
        tried.append(config.name)
        raise ConfigError("x", problem="again")

    monkeypatch.setattr("reasondistill.training.train.train", refuse)
    outcomes = run_sweep(swept.sweep, jobs=0)
    assert tried == ["broken-s1"]
    assert {o.trial.name for o in outcomes if o.error is not None} == {"broken-s1", "lost-s1"}


def test_means_are_those_of_the_seeds_and_tests_are_paired(swept: SimpleNamespace) -> None:
    found = summarise(swept.sweep, settings=FEW)
    scores = found.sweep.parts[0]
    assert [v.name for v in scores.variants] == ["base", "later"]
    base, later = scores.variants
    for metric in ("label_accuracy", "rougeL", "bleu"):
        files = [swept.sweep.folder / "runs" / f"base-s{s}" / "results" / "test" / "results.json" for s in (1, 2)]
        values = [Results.load(file).metrics[metric].value for file in files]
        assert list(base.figures[metric].seeds.values()) == pytest.approx(values)
        assert base.figures[metric].mean == pytest.approx(sum(values) / 2)
    assert base.figures["label_accuracy"].ci95 is not None
    assert later.figures["label_accuracy"].ci95 is None  # one seed says nothing of others
    assert list(later.figures) == ["label_accuracy"]
    assert scores.left_out == {"later": dict.fromkeys(("rougeL", "bleu"), "later writes labels only")}
    (effect,) = scores.effects
    one = {name: v.figures["label_accuracy"].seeds[1] for name, v in (("base", base), ("later", later))}
    assert (effect.variant, effect.metric, effect.seeds) == ("later", "label_accuracy", [1])
    assert effect.difference == pytest.approx(one["later"] - one["base"])  # the seed that both have
    assert [trial.state for trial in found.sweep.trials] == ["finished", "finished", "failed", "waiting", "finished"]
    assert "Not finished, and in no figure: broken-s1, lost-s1." in scores.notes
    assert set(found.comparisons) == {"test"}


def test_a_summary_can_be_written_again_and_read(swept: SimpleNamespace, tmp_path: Path) -> None:
    found = summarise(swept.sweep, settings=FEW)
    out = tmp_path / "summary"
    for _ in range(2):
        file = write_summary(found, out)
    assert SweepSummary.load(out / "summary.json") == found.sweep
    text = file.read_text(encoding="utf-8")
    assert "| base (baseline) | 2 |" in text
    assert "| broken-s1 | failed: ConfigError: " in text or "| broken-s1 | failed: DataError: " in text
    for name in ("comparison_test/comparison.json", "comparison_test/metrics_summary.csv"):
        assert (out / name).is_file()
    for line in text.splitlines():
        if line.startswith("!["):
            assert (out / line.partition("](")[2].rstrip(")").replace("\\", "")).is_file()
    assert [p.name for p in tmp_path.iterdir()] == ["summary"]  # nothing half-written, nothing old


def test_another_recipe_under_the_same_name_is_refused(swept: SimpleNamespace) -> None:
    value = yaml.safe_load(swept.path.read_text(encoding="utf-8"))
    for change, said in (
        ({"set": {"training.learning_rate": 0.5}}, r"base-s1: was begun with another configuration.*training"),
        ({"evaluate": {**EVALUATE, "limit": 5}}, r"test was begun with other settings \(limit\)"),
    ):
        other = swept.path.with_name("other.yaml")
        other.write_text(yaml.safe_dump(value | change, sort_keys=False), encoding="utf-8")
        with pytest.raises(ConfigError, match=said):
            begin(load_sweep(other))
    more = value | {"cells": [*value["cells"], {"name": "new"}], "evaluate": [EVALUATE, {**EVALUATE, "name": "more"}]}
    other.write_text(yaml.safe_dump(more, sort_keys=False), encoding="utf-8")
    begin(load_sweep(other))  # more variants and parts may come
    record = swept.sweep.folder / "sweep.json"
    kept = json.loads(record.read_text(encoding="utf-8"))
    del kept["evaluate"]["test"]["fields"]  # as before that key existed
    record.write_text(json.dumps(kept), encoding="utf-8")
    begin(swept.sweep)


def test_a_trial_is_run_by_one_process_at_a_time(swept: SimpleNamespace) -> None:
    trial = swept.sweep.trial("base-s1")
    with claimed(swept.sweep, trial):
        assert state.in_use(swept.sweep, trial)
        with pytest.raises(OutputError, match="another process"):
            run_trial(swept.sweep, trial)
    assert not state.in_use(swept.sweep, trial)


class Killed(BaseException):
    """What ends a process at once, as seen from inside."""


def test_a_sweep_that_is_killed_goes_on_and_does_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed once while the second trial trains, once between its training and its results."""
    sweep = load_sweep(written(tmp_path, cells=cells("a", "b"), seeds=[1]))
    begin(sweep)
    steps: list[str] = []
    from reasondistill.training.trainer import DistillationTrainer

    whole_step = DistillationTrainer.training_step

    def step(self: DistillationTrainer, *arguments: Any, **options: Any) -> Any:
        steps.append(Path(self.args.output_dir).parent.name[0])
        if steps == ["a", "a", "b", "b"]:
            raise Killed
        return whole_step(self, *arguments, **options)

    monkeypatch.setattr(DistillationTrainer, "training_step", step)
    with pytest.raises(Killed):
        run_sweep(sweep, jobs=0)
    shutil.rmtree(sweep.folder / "logs")  # a kill leaves no word
    assert [state_of(sweep, trial) for trial in sweep.trials] == ["finished", "stopped"]

    def kill(*arguments: Any, **options: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("reasondistill.sweeps.trial.evaluate_whole", kill)
        with pytest.raises(Killed):
            run_sweep(sweep, jobs=0)
    assert steps == ["a", "a", "b", "b", "b"]  # the step that was cut short, once more; none of those before it
    assert all(outcome.error is None for outcome in run_sweep(sweep, jobs=0))
    assert len(steps) == 5


def test_one_trial_by_its_number_and_then_the_comparison(
    run: Callable[..., tuple[int, str, str]], swept: SimpleNamespace
) -> None:
    status, out, _ = run("sweep", swept.path, "--cell", "0")
    assert (status, "finished already" in out) == (0, True)
    status, out, _ = run("sweep", swept.path, "--set", "metrics=[label_accuracy]", "--summary")
    assert status == 0
    assert json.loads((swept.sweep.folder / "summary" / "summary.json").read_text())["name"] == "s"


def test_a_mistake_in_what_is_scored_is_found_before_any_training(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    for keys, said in (({"split": "tset"}, "rows of the split 'tset'"), ({"teachers": {"nobody": None}}, "nobody")):
        path = written(tmp_path, cells=cells("a"), evaluate={**EVALUATE, **keys})
        status, _, error = run("sweep", path)
        assert (status, said in error) == (2, True)
        assert not (tmp_path / "sweeps").exists()


@pytest.mark.slow
def test_a_sweep_of_processes_is_killed_and_goes_on(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        cells=[
            {"name": "good"},
            {"name": "long", "set": {"training.max_steps": 30}},
            {"name": "bad", "set": {"data.validation": {"source": SCENES, "split": "train"}}},
        ],
        seeds=[1],
        metrics=["label_accuracy"],
    )
    sweep = load_sweep(path)
    good, long, bad = sweep.trials
    command = [sys.executable, "-m", "reasondistill.cli", "sweep", str(path), "--launcher", "accelerate"]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    place = state.run_of(long)
    until = time.monotonic() + 600
    while not list(place.checkpoints.glob("checkpoint-*")) and first.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    first.kill()
    # Whoever trains says so beside the run: "process 123 on …".
    holder = place.folder.parent / f".{place.folder.name}.holder"
    os.kill(int(holder.read_text(encoding="utf-8").split()[1]), signal.SIGKILL)
    first.wait()
    assert [state_of(sweep, trial) for trial in (good, bad)] == ["finished", "waiting"]
    before = {trial.name: state.run_of(trial).info().created for trial in (good, long)}
    results = state.run_of(good).results("test") / "results.json"
    written_at = results.stat().st_mtime_ns
    second = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert second.returncode == 1, second.stdout + second.stderr  # as one of them failed
    assert "failed  bad-s1 (log: " in second.stdout
    assert "expected groups that the training part does not have" in second.stdout
    assert [state_of(sweep, trial) for trial in sweep.trials] == ["finished", "finished", "failed"]
    assert {trial.name: state.run_of(trial).info().created for trial in (good, long)} == before
    assert results.stat().st_mtime_ns == written_at
    assert "resuming the training" in state.log_of(sweep, long).read_text(encoding="utf-8")
    assert (sweep.folder / "summary" / "summary.md").is_file()


SHIPPED = sorted((ROOT / "configs").glob("sweep_*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_every_shipped_sweep_runs_its_small_version(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    sweep = load_sweep(path, small=True, overrides=[f"sweeps_dir={tmp_path}"])
    begin(sweep)
    failed = {o.trial.name: o.error for o in run_sweep(sweep, jobs=0) if o.error is not None}
    assert failed == {}
    found = summarise(sweep)
    assert {v.name for v in found.sweep.parts[0].variants} == set(sweep.variants)
    assert found.sweep.parts[0].effects


def test_a_sweep_from_python_runs_compares_and_writes_its_summary(tmp_path: Path) -> None:
    path = written(tmp_path, cells=cells("one", "two"), metrics=["label_accuracy"])
    summary = rd.sweep(path, jobs=0, resamples=50, swaps=99)
    assert [(trial.name, trial.state) for trial in summary.sweep.trials] == [
        ("one-s42", "finished"), ("two-s42", "finished"),
    ]  # fmt: skip
    assert summary.comparisons["test"].settings.resamples == 50
    assert SweepSummary.load(tmp_path / "sweeps" / "s" / "summary" / "summary.json") == summary.sweep
    lines: list[str] = []
    assert rd.sweep(path, jobs=0, say=lines.append, resamples=50, swaps=99).sweep == summary.sweep
    assert not [line for line in lines if "train" in line]  # nothing is run twice
