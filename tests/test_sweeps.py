"""Sweeps: cells that are checked before anything runs, done once, isolated, and compared at the end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from reasondistill.comparison.schema import ComparisonSettings
from reasondistill.errors import ConfigError, OutputError, StoppedError
from reasondistill.experiments import SweepSummary, load_sweep, running, state
from reasondistill.experiments.cell import run_cell
from reasondistill.experiments.grid import Sweep
from reasondistill.experiments.rendering import render, stages_of
from reasondistill.experiments.running import (
    command_of,
    environment_of,
    last_lines,
    run_sweep,
    threads_of_each,
)
from reasondistill.experiments.state import begin, claimed, state_of
from reasondistill.experiments.summary import summarise
from reasondistill.files import write_json
from reasondistill.reporting.sweep_page import write_summary
from reasondistill.results import Results

ROOT = Path(__file__).resolve().parents[1]
SCENES = "scenes:120@1"
BASE: dict[str, Any] = {
    "name": "base",
    "max_source_length": 64,
    "max_target_length": 48,
    "data": {"train": {"source": SCENES, "split": "train"}, "explanations_per_example": 1},
    "student": {
        "kind": "scratch",
        "d_model": 16,
        "d_ff": 16,
        "d_kv": 8,
        "num_heads": 2,
        "num_layers": 1,
        "num_decoder_layers": 1,
        "vocab_size": 300,
    },
    "training": {
        "max_steps": 2,
        "per_device_train_batch_size": 4,
        "save_strategy": "steps",
        "save_steps": 1,
        "report_to": "none",
    },
    "generation": {"num_beams": 1, "max_new_tokens": 3},
}
EVALUATE = {"source": SCENES, "split": "test", "limit": 12, "bertscore": False}
FEW = ComparisonSettings(resamples=50, swaps=99)


def written(folder: Path, **keys: Any) -> Path:
    """A sweep's file; what is not given is small."""
    path = folder / "sweep.yaml"
    value = {"name": "s", "sweeps_dir": str(folder / "sweeps"), "base": BASE, "evaluate": EVALUATE, **keys}
    path.write_text(yaml.safe_dump(value, sort_keys=False), encoding="utf-8")
    return path


def cells(*names: str, **more: Any) -> list[dict[str, Any]]:
    return [{"name": name, **more} for name in names]


# --- what is asked ---


def test_a_grid_is_a_cell_for_each_combination_and_seed(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        set={"training.max_steps": 7},
        grid={"order": ["label_first", "label_only"], "loss.alpha": [0.5, {"start": 0.7, "end": 0.3}]},
        cells=[{"name": "deep", "set": {"student.num_layers": 2}, "seeds": [9]}],
        seeds=[1, 2],
    )
    sweep = load_sweep(path)
    assert [cell.name for cell in sweep.cells] == [
        "order-label_first_alpha-0.5-s1",
        "order-label_first_alpha-0.5-s2",
        "order-label_first_alpha-end-0.3-start-0.7-s1",
        "order-label_first_alpha-end-0.3-start-0.7-s2",
        "order-label_only_alpha-0.5-s1",
        "order-label_only_alpha-0.5-s2",
        "order-label_only_alpha-end-0.3-start-0.7-s1",
        "order-label_only_alpha-end-0.3-start-0.7-s2",
        "deep-s9",
    ]
    assert [cell.number for cell in sweep.cells] == list(range(9))
    third, deep = sweep.cells[3].config, sweep.cells[8].config
    assert third.loss.weights(1.0) == (0.3, 0.5)
    assert (third.seed, third.name, third.training["max_steps"]) == (2, sweep.cells[3].name, 7)
    assert Path(third.runs_dir) == sweep.folder / "runs"
    assert (deep.seed, deep.student.num_layers, deep.order) == (9, 2, "label_first")  # type: ignore[union-attr]
    assert sweep.baseline == "order-label_first_alpha-0.5"
    assert sweep.cell("8") is sweep.cell("deep-s9") is sweep.cells[8]
    with pytest.raises(ConfigError, match="0 to 8"):
        sweep.cell("9")


def test_a_base_is_found_beside_the_file_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(BASE), encoding="utf-8")
    sweep = load_sweep(
        written(tmp_path, base="train.yaml", cells=[*cells("a"), {"name": "b", "set": {"seed_": 1}}][:1])
    )
    assert sweep.cells[0].config.student.kind == "scratch"
    again = load_sweep(
        written(tmp_path, base=BASE, cells=[{"name": "a", "set": {"training.max_steps": 5}}, *cells("b")])
    )
    assert [c.config.training["max_steps"] for c in again.cells] == [5, 2]  # a change stays in its cell


def test_all_mistakes_are_named_before_anything_runs(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        cells=[
            {"name": "typo", "set": {"student.num_layer": 2}},
            {"name": "value", "set": {"order": "label_last", "loss.alpha.start": 0.1}},
            {"name": "right"},
            {"name": "data", "set": {"data.train.source": "absent.csv"}},
        ],
        seeds=[1, 2],
        evaluate={"source": "nowhere.csv", "judge": "no/judge", "teachers": {"t": "none.jsonl"}},
    )
    with pytest.raises(ConfigError) as caught:
        load_sweep(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: 6 mistakes")
    for part in ("student.num_layer: unknown key", "order", "absent.csv", "nowhere.csv", "no/judge", "none.jsonl"):
        assert part in text
    assert text.count("num_layer") == 1  # once, not once a seed
    assert not (tmp_path / "sweeps").exists()


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"cells": []}, "nothing to run"),
        ({"cells": cells("a", "a")}, "'a' names two of them"),
        ({"cells": cells("a"), "baseline": "b"}, "baseline: expected one of a, found 'b'"),
        ({"cells": [{"name": "b", "after": "a"}, {"name": "a"}]}, "expected a cell that stands before it"),
        ({"cells": [{"name": "a", "seeds": [1]}, {"name": "b", "after": "a", "seeds": [1, 2]}]}, r"seeds \[2\]"),
        ({"cells": [{"name": "a", "set": {"seed": 3}}]}, "seed is set by the sweep"),
        ({"cells": cells("a"), "seeds": [1, 1]}, "each seed once"),
        ({"cells": cells("a"), "evaluate": [EVALUATE, EVALUATE]}, "two are called 'test'"),
        ({"cells": cells("a"), "cels": []}, "cels: unknown key"),
        ({"grid": {"loss.alpha": [1, 1.0, 1]}}, "values of a grid that look alike"),
    ],
)
def test_parts_that_do_not_fit_are_mistakes(tmp_path: Path, keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_sweep(written(tmp_path, **keys))


def test_a_cell_after_another_begins_with_its_student(tmp_path: Path) -> None:
    sweep = load_sweep(
        written(
            tmp_path,
            set={"student.num_layers": 2, "loss.beta": 0.1},
            cells=[*cells("a"), {"name": "b", "after": "a", "set": {"loss.alpha": 0.9}}],
            seeds=[4, 5],
        )
    )
    b = sweep.cell("b-s5")
    assert b.after == "a-s5"
    assert b.config.student.model_dump()["checkpoint"] == str(sweep.folder / "runs" / "a-s5" / "student")
    assert b.config.loss.weights(0.0) == (0.9, 0.1)
    assert [[c.name for c in stage] for stage in stages_of(sweep.cells)] == [["a-s4", "a-s5"], ["b-s4", "b-s5"]]


def test_the_small_version_replaces_what_it_says(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        base={**BASE, "order": "label_only"},
        set={"student.num_layers": 9},
        cells=[{"name": "a", "set": {"student.num_layers": 5}, "small": {"student.num_layers": 2}}, *cells("b")],
        seeds=[1, 2, 3],
        small={"base": BASE, "set": {"training.max_steps": 1}},
    )
    small = load_sweep(path, small=True)
    assert small.folder.name == "s-small"
    assert [c.name for c in small.cells] == ["a-s1", "b-s1"]
    assert [c.config.student.num_layers for c in small.cells] == [2, 1]  # type: ignore[union-attr]
    assert {c.config.order for c in small.cells} == {"label_first"}
    assert small.arguments == (str(path), "--small")


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


def test_a_broken_cell_is_isolated(swept: SimpleNamespace) -> None:
    errors = {outcome.cell.name: outcome.error for outcome in swept.outcomes}
    assert [name for name, error in errors.items() if error is None] == ["base-s1", "base-s2", "later-s1"]
    assert "groups that the training part does not have" in errors["broken-s1"]
    assert errors["lost-s1"] == "not begun: it goes on from broken-s1, which failed"
    assert {cell.name: state_of(swept.sweep, cell) for cell in swept.sweep.cells} == {
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

    monkeypatch.setattr("reasondistill.distilling.train", refuse)
    outcomes = run_sweep(swept.sweep, jobs=0)
    assert tried == ["broken-s1"]
    assert {o.cell.name for o in outcomes if o.error is not None} == {"broken-s1", "lost-s1"}


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
    assert [c.state for c in found.sweep.cells] == ["finished", "finished", "failed", "waiting", "finished"]
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
    begin(load_sweep(other))  # more cells and parts may come
    begin(swept.sweep)


def test_a_cell_is_run_by_one_process_at_a_time(swept: SimpleNamespace) -> None:
    cell = swept.sweep.cell("base-s1")
    with claimed(swept.sweep, cell):
        assert state.in_use(swept.sweep, cell)
        with pytest.raises(OutputError, match="another process"):
            run_cell(swept.sweep, cell)
    assert not state.in_use(swept.sweep, cell)


class Killed(BaseException):
    """What ends a process at once, as seen from inside."""


def test_a_sweep_that_is_killed_goes_on_and_does_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed once while the second cell trains, once between its training and its results."""
    sweep = load_sweep(written(tmp_path, cells=cells("a", "b"), seeds=[1]))
    begin(sweep)
    steps: list[str] = []
    from reasondistill.training import DistillationTrainer

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
    assert [state_of(sweep, cell) for cell in sweep.cells] == ["finished", "stopped"]

    def kill(*arguments: Any, **options: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("reasondistill.experiments.cell.evaluate", kill)
        with pytest.raises(Killed):
            run_sweep(sweep, jobs=0)
    assert steps == ["a", "a", "b", "b", "b"]  # the step that was cut short, once more; none of those before it
    assert all(outcome.error is None for outcome in run_sweep(sweep, jobs=0))
    assert len(steps) == 5


# --- cells as processes, with stand-ins that need no student ---


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Sweep]:
    """A sweep whose cells' processes run a few lines of Python in place of a training."""
    monkeypatch.setattr(running, "_LOOK", 0.02)

    def make(code: dict[str, str], **keys: Any) -> Sweep:
        asked = keys.pop("cells", cells(*code))
        sweep = load_sweep(written(tmp_path, cells=asked, seeds=[1], **keys))
        begin(sweep)

        def command(sweep: Sweep, cell: Any, launcher: str, threads: int) -> list[str]:
            results = state.run_of(cell).results("test") / "results.json"
            head = "import os, pathlib, signal, sys, time\n"
            head += f"p, h = pathlib.Path({str(results)!r}), pathlib.Path({str(tmp_path)!r})\n"
            done = "def done():\n    p.parent.mkdir(parents=True); p.write_text('{}')\n"
            return [sys.executable, "-c", head + done + code[cell.variant]]

        monkeypatch.setattr(running, "command_of", command)
        return sweep

    return make


def test_a_process_that_dies_is_named_with_its_last_words(pool: Callable[..., Sweep]) -> None:
    sweep = pool(
        {
            "good": "done()",
            "killed": "print('loading'); sys.stdout.flush(); os.kill(os.getpid(), signal.SIGKILL)",
            "raises": "raise ValueError('no such thing')",
            "after": "done()",
        }
    )
    errors = {outcome.cell.variant: outcome.error for outcome in run_sweep(sweep)}
    assert errors["good"] is errors["after"] is None
    assert errors["killed"] == "killed by SIGKILL, as a system does that runs out of memory\nloading"
    assert str(errors["raises"]).startswith("ended with exit status 1\n")
    assert str(errors["raises"]).endswith("ValueError: no such thing")
    assert [state_of(sweep, cell) for cell in sweep.cells] == ["finished", "failed", "failed", "finished"]


def test_no_more_than_so_many_at_once_and_none_before_what_it_needs(pool: Callable[..., Sweep], tmp_path: Path) -> None:
    body = (
        "h.joinpath('at-' + str(os.getpid())).touch(); n = len(list(h.glob('at-*'))); time.sleep(0.3)\n"
        "h.joinpath('most').open('a').write(f'{n}\\n'); h.joinpath('at-' + str(os.getpid())).unlink(); "
    )
    order = "h.joinpath('order').open('a').write('%s '); done()"
    sweep = pool(
        {name: body + order % name for name in "abcd"},
        cells=[*cells("a", "b", "c"), {"name": "d", "after": "a"}],
    )
    assert all(outcome.error is None for outcome in run_sweep(sweep, jobs=2))
    assert max(map(int, (tmp_path / "most").read_text().split())) == 2
    ended = (tmp_path / "order").read_text().split()
    assert sorted(ended) == list("abcd")
    assert ended.index("a") < ended.index("d")


def test_a_cell_that_goes_on_from_a_failed_one_is_not_begun(pool: Callable[..., Sweep]) -> None:
    sweep = pool({"a": "raise SystemExit(3)", "b": "done()"}, cells=[*cells("a"), {"name": "b", "after": "a"}])
    assert [o.error for o in run_sweep(sweep)] == [
        "ended with exit status 3",
        "not begun: it goes on from a-s1, which failed",
    ]


def test_a_cell_that_another_process_runs_is_waited_for(pool: Callable[..., Sweep], tmp_path: Path) -> None:
    sweep = pool({"a": "raise SystemExit(1)", "b": "done()"})
    held, released = threading.Event(), threading.Event()

    def other() -> None:
        with claimed(sweep, sweep.cells[0]):
            held.set()
            released.wait(20)
            write_json(state.run_of(sweep.cells[0]).results("test") / "results.json", {})

    thread = threading.Thread(target=other)
    thread.start()
    held.wait(20)
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if text == "b-s1: finished":
            released.set()

    assert [o.error for o in run_sweep(sweep, say=say)] == [None, None]
    thread.join()
    assert said[0] == "a-s1: another process is at work on it; waiting for it"
    assert not any(text.startswith("a-s1: begins") for text in said)


def test_a_signal_stops_the_cells_and_begins_no_more(pool: Callable[..., Sweep], tmp_path: Path) -> None:
    wait = (
        "signal.signal(signal.SIGTERM, lambda *a: (h.joinpath('saved').touch(), sys.exit(130)))\n"
        "h.joinpath('up').touch()\ntime.sleep(30)"
    )
    sweep = pool({"a": wait, "b": "done()"})

    def stop() -> None:
        while not (tmp_path / "up").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(StoppedError, match=r"0 of 2 cells are finished\. The same command goes on"):
        run_sweep(sweep)
    thread.join()
    assert (tmp_path / "saved").exists()
    assert [state_of(sweep, cell) for cell in sweep.cells] == ["waiting", "waiting"]  # a stop is no failure
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_failure_of_an_earlier_try_is_forgotten(pool: Callable[..., Sweep], tmp_path: Path) -> None:
    sweep = pool({"a": "done() if h.joinpath('mended').exists() else sys.exit(4)"})
    assert run_sweep(sweep)[0].error == "ended with exit status 4"
    (tmp_path / "mended").touch()
    assert run_sweep(sweep)[0].error is None
    assert state.failure_of(sweep, sweep.cells[0]) is None


def test_threads_and_devices_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert [threads_of_each(jobs) for jobs in (1, 2, 3, 20)] == [8, 4, 2, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert [threads_of_each(jobs) for jobs in (1, 2, 8)] == [3, 3, 1]
    assert environment_of({"A": "1"}, 1, 2) == {"A": "1", "OMP_NUM_THREADS": "2", "PYTHONUNBUFFERED": "1"}
    devices = [environment_of({"CUDA_VISIBLE_DEVICES": "2, 5"}, slot, 1)["CUDA_VISIBLE_DEVICES"] for slot in range(3)]
    assert devices == ["2", "5", "2"]
    assert environment_of({"CUDA_VISIBLE_DEVICES": "2"}, 1, 1)["CUDA_VISIBLE_DEVICES"] == "2"


def test_the_last_lines_of_a_log() -> None:
    log = b"one\n 10%|#\r 20%|##\rtwo\n\n" + b"\n".join(b"%d" % i for i in range(3)) + b"\n\xff\n"
    assert last_lines(log, 4) == "0\n1\n2\n\ufffd"
    assert last_lines(log).split("\n")[:2] == ["one", "two"]
    assert last_lines(b"") == ""


def test_a_cells_command_is_one_that_anybody_can_repeat(tmp_path: Path) -> None:
    path = written(tmp_path, cells=cells("a"), seeds=[1])
    sweep = load_sweep(path, small=True, overrides=["seeds=[1]"])
    tail = ["-m", "reasondistill.cli", "sweep", str(path), "--small", "--set", "seeds=[1]", "--cell", "a-s1"]
    assert command_of(sweep, sweep.cells[0], "process", 2) == [sys.executable, *tail]
    launched = command_of(sweep, sweep.cells[0], "accelerate", 2)
    assert launched[:5] == [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "1"]
    assert launched[-len(tail) :] == tail


# --- for others to run ---


def test_a_slurm_script_submits_a_stage_after_the_other(tmp_path: Path) -> None:
    sweep = load_sweep(written(tmp_path, cells=[*cells("a", "b"), {"name": "c", "after": "a"}], seeds=[1, 2]))
    fake = tmp_path / "bin" / "sbatch"
    fake.parent.mkdir()
    fake.write_text(
        f'#!/bin/bash\nprintf "%s\\n" "$@" END >> {tmp_path}/calls\necho $((100 + $(grep -c END {tmp_path}/calls)))\n'
    )
    fake.chmod(0o755)
    script = tmp_path / "submit.sh"
    script.write_text(render(sweep, "slurm"), encoding="utf-8")
    environment = {**os.environ, "PATH": f"{fake.parent}:{os.environ['PATH']}"}
    subprocess.run(["bash", str(script)], check=True, env=environment, capture_output=True, timeout=60)
    first, second, last = (tmp_path / "calls").read_text().split("END\n")[:3]
    command = f"reasondistill sweep {tmp_path / 'sweep.yaml'}"
    assert "--array=0,1,2,3\n" in first
    assert f'--wrap=exec {command} --cell "$SLURM_ARRAY_TASK_ID"\n' in first
    assert "--dependency" not in first
    assert "--array=4,5\n" in second
    assert "--dependency=afterany:101\n" in second
    assert "--dependency=afterany:102\n" in last
    assert f"--wrap={command} --summary\n" in last


def test_a_ray_driver_runs_each_cell_after_what_it_needs(tmp_path: Path) -> None:
    sweep = load_sweep(written(tmp_path, cells=[*cells("a"), {"name": "c", "after": "a"}], seeds=[1]))
    (tmp_path / "driver.py").write_text(render(sweep, "ray"), encoding="utf-8")
    (tmp_path / "ray.py").write_text(  # enough of ray to see what is asked of it
        "def init(): pass\n"
        "def get(x): return x\n"
        "def remote(**options):\n"
        "    def wrap(f):\n"
        "        f.remote = f\n"
        "        return f\n"
        "    return wrap\n"
    )
    fake = tmp_path / "reasondistill"
    fake.write_text(f'#!/bin/bash\necho "$@" >> {tmp_path}/calls\n[ "$4" != 1 ]\n')
    fake.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        [sys.executable, "driver.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (1, "failed: c-s1\n"), done.stderr
    path = tmp_path / "sweep.yaml"
    assert (tmp_path / "calls").read_text().splitlines() == [
        f"sweep {path} --cell 0",
        f"sweep {path} --cell 1",
        f"sweep {path} --summary",
    ]


# --- the command ---


def test_a_dry_run_lists_cells_and_runs_nothing(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    path = written(tmp_path, cells=[*cells("a"), {"name": "b", "set": {"order": "label_only"}}])
    status, out, _ = run("sweep", path, "--dry-run")
    assert status == 0
    assert [line.split("│")[1:6] for line in out.splitlines() if "waiting" in line] == [
        [" 0    ", " a-s42 ", " 42   ", " the base           ", " waiting "],
        [" 1    ", " b-s42 ", " 42   ", " order = label_only ", " waiting "],
    ]
    assert not (tmp_path / "sweeps").exists()


def test_options_that_exclude_each_other(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    path = written(tmp_path, cells=cells("a"))
    for options in (("--dry-run", "--summary"), ("--cell", "0", "--render", "ray"), ("--out", "x")):
        status, _, error = run("sweep", path, *options)
        assert status == 2
        assert options[0] in error


def test_a_script_is_written_to_a_new_file(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    path = written(tmp_path, cells=cells("a"))
    assert run("sweep", path, "--render", "slurm", "--out", tmp_path / "job.sh")[0] == 0
    assert (tmp_path / "job.sh").read_text() == run("sweep", path, "--render", "slurm")[1]
    assert run("sweep", path, "--render", "slurm", "--out", tmp_path / "job.sh")[0] == 2


def test_one_cell_by_its_number_and_then_the_comparison(
    run: Callable[..., tuple[int, str, str]], swept: SimpleNamespace
) -> None:
    status, out, _ = run("sweep", swept.path, "--cell", "0")
    assert (status, "finished already" in out) == (0, True)
    status, out, _ = run("sweep", swept.path, "--set", "metrics=[label_accuracy]", "--summary")
    assert status == 0
    assert json.loads((swept.sweep.folder / "summary" / "summary.json").read_text())["name"] == "s"


@pytest.mark.slow
def test_a_sweep_in_processes_ends_with_status_1_where_a_cell_failed(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        cells=[{"name": "bad", "set": {"data.validation": {"source": SCENES, "split": "train"}}}, *cells("good")],
        seeds=[1],
        metrics=["label_accuracy"],
    )
    command = [sys.executable, "-m", "reasondistill.cli", "sweep", str(path), "--launcher", "accelerate"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "groups that the training part" in " ".join(done.stdout.split())
    sweep = load_sweep(path)
    assert [state_of(sweep, cell) for cell in sweep.cells] == ["failed", "finished"]
    assert (sweep.folder / "summary" / "summary.md").is_file()


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reasondistill.experiments.summary.ComparisonSettings", lambda: FEW)


SHIPPED = sorted((ROOT / "configs").glob("sweep_*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_every_shipped_sweep_runs_its_small_version(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    sweep = load_sweep(path, small=True, overrides=[f"sweeps_dir={tmp_path}"])
    begin(sweep)
    failed = {o.cell.name: o.error for o in run_sweep(sweep, jobs=0) if o.error is not None}
    assert failed == {}
    found = summarise(sweep)
    assert {v.name for v in found.sweep.parts[0].variants} == set(sweep.variants)
    assert found.sweep.parts[0].effects
