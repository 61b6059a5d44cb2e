"""Cells as processes of their own, with stand-ins that need no student."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reasondistill.errors import StoppedError
from reasondistill.storage.files import write_json
from reasondistill.storage.locks import BusyError
from reasondistill.sweeps import load_sweep, state
from reasondistill.sweeps import processes as running
from reasondistill.sweeps.grid import Sweep
from reasondistill.sweeps.processes import command_of, environment_of, last_lines, run_sweep, threads_of_each
from reasondistill.sweeps.state import begin, claimed, state_of
from sweeping import cells, written

ROOT = Path(__file__).resolve().parents[1]


# --- trials as processes, with stand-ins that need no student ---


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Sweep]:
    """A sweep whose trials' processes run a few lines of Python in place of a training."""
    monkeypatch.setattr(running, "_LOOK", 0.02)

    def make(code: dict[str, str], **keys: Any) -> Sweep:
        asked = keys.pop("cells", cells(*code))
        sweep = load_sweep(written(tmp_path, cells=asked, seeds=[1], **keys))
        begin(sweep)

        def command(sweep: Sweep, trial: Any, launcher: str, threads: int) -> list[str]:
            results = state.run_of(trial).results("test") / "results.json"
            head = "import os, pathlib, signal, sys, time\n"
            head += f"p, h = pathlib.Path({str(results)!r}), pathlib.Path({str(tmp_path)!r})\n"
            done = "def done():\n    p.parent.mkdir(parents=True); p.write_text('{}')\n"
            return [sys.executable, "-c", head + done + code[trial.variant]]

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
    errors = {outcome.trial.variant: outcome.error for outcome in run_sweep(sweep)}
    assert errors["good"] is errors["after"] is None
    assert errors["killed"] == "killed by SIGKILL, as the system does when it runs out of memory\nloading"
    assert str(errors["raises"]).startswith("ended with exit status 1\n")
    assert str(errors["raises"]).endswith("ValueError: no such thing")
    assert [state_of(sweep, trial) for trial in sweep.trials] == ["finished", "failed", "failed", "finished"]


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


def test_a_trial_that_goes_on_from_a_failed_one_is_not_begun(pool: Callable[..., Sweep]) -> None:
    sweep = pool({"a": "raise SystemExit(3)", "b": "done()"}, cells=[*cells("a"), {"name": "b", "after": "a"}])
    assert [o.error for o in run_sweep(sweep)] == [
        "ended with exit status 3",
        "not begun: it starts from a-s1, which failed",
    ]


def test_a_trial_that_another_process_runs_is_waited_for(pool: Callable[..., Sweep], tmp_path: Path) -> None:
    sweep = pool({"a": "raise SystemExit(1)", "b": "done()"})
    held, released = threading.Event(), threading.Event()

    def other() -> None:
        with claimed(sweep, sweep.trials[0]):
            held.set()
            released.wait(20)
            write_json(state.run_of(sweep.trials[0]).results("test") / "results.json", {})

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
    assert said[0] == "a-s1: waiting for another process that is running it"
    assert not any(text.startswith("a-s1: begins") for text in said)


@pytest.mark.parametrize("jobs", [0, 1])
def test_a_trial_that_another_process_ends_while_it_is_looked_at_is_not_begun(
    pool: Callable[..., Sweep], monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    """Whatever is asked first, the other process ends right after it."""
    sweep = pool({"a": "raise SystemExit(1)"})
    trial = sweep.trials[0]
    other = claimed(sweep, trial)
    other.__enter__()
    looks: list[str] = []

    def then_ends(name: str, look: Callable[..., bool]) -> Callable[..., bool]:
        def looked(*given: Any) -> bool:
            answer = look(*given)
            if not looks:
                write_json(state.run_of(trial).results("test") / "results.json", {})
                other.__exit__(None, None, None)
            looks.append(name)
            return answer

        return looked

    for name in ("finished", "in_use"):
        monkeypatch.setattr(running, name, then_ends(name, getattr(running, name)))
    said: list[str] = []
    assert [o.error for o in run_sweep(sweep, jobs=jobs, say=said.append)] == [None]
    assert not any("begins" in text for text in said)
    assert looks[0] == "in_use"


def test_a_state_is_that_of_one_moment(pool: Callable[..., Sweep], monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = pool({"a": "done()"})
    trial = sweep.trials[0]

    def ends(*given: Any) -> bool:
        write_json(state.run_of(trial).results("test") / "results.json", {})
        return False

    monkeypatch.setattr(state, "in_use", ends)
    assert state_of(sweep, trial) == "finished"


def test_a_trial_that_another_process_takes_first_is_waited_for(pool: Callable[..., Sweep]) -> None:
    """Both saw it free; the second one's process finds the lock taken, and says so with its exit status."""
    sweep = pool(
        {"a": f"done() if h.joinpath('tried').exists() else (h.joinpath('tried').touch(), sys.exit({running.BUSY}))"}
    )
    said: list[str] = []
    assert [o.error for o in run_sweep(sweep, say=said.append)] == [None]
    assert [text.split(":")[1].split()[0] for text in said] == ["begins", "begins", "finished"]


def test_one_after_another_waits_for_who_was_quicker(
    pool: Callable[..., Sweep], monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = pool({"a": "done()"})
    trial = sweep.trials[0]
    tries: list[int] = []

    def run(*given: Any) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise BusyError("a", expected="nobody", found="another process")
        write_json(state.run_of(trial).results("test") / "results.json", {})

    monkeypatch.setattr(running, "run_trial", run)
    assert [o.error for o in run_sweep(sweep, jobs=0)] == [None]
    assert len(tries) == 2


def test_a_signal_stops_the_trials_and_begins_no_more(pool: Callable[..., Sweep], tmp_path: Path) -> None:
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
    with pytest.raises(StoppedError, match=r"0 of 2 trials are finished"):
        run_sweep(sweep)
    thread.join()
    assert (tmp_path / "saved").exists()
    assert [state_of(sweep, trial) for trial in sweep.trials] == ["waiting", "waiting"]  # a stop is no failure
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_failure_of_an_earlier_try_is_forgotten(pool: Callable[..., Sweep], tmp_path: Path) -> None:
    sweep = pool({"a": "done() if h.joinpath('mended').exists() else sys.exit(4)"})
    assert run_sweep(sweep)[0].error == "ended with exit status 4"
    (tmp_path / "mended").touch()
    assert run_sweep(sweep)[0].error is None
    assert state.failure_of(sweep, sweep.trials[0]) is None


def test_threads_and_devices_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert [threads_of_each(jobs) for jobs in (1, 2, 3, 20)] == [8, 4, 2, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert [threads_of_each(jobs) for jobs in (1, 2, 8)] == [3, 1, 1]
    assert environment_of({"A": "1"}, 1, 2) == {"A": "1", "OMP_NUM_THREADS": "2", "PYTHONUNBUFFERED": "1"}
    devices = [environment_of({"CUDA_VISIBLE_DEVICES": "2, 5"}, slot, 1)["CUDA_VISIBLE_DEVICES"] for slot in range(3)]
    assert devices == ["2", "5", "2"]
    assert environment_of({"CUDA_VISIBLE_DEVICES": "2"}, 1, 1)["CUDA_VISIBLE_DEVICES"] == "2"


def test_the_last_lines_of_a_log() -> None:
    log = b"one\n 10%|#\r 20%|##\rtwo\n\n" + b"\n".join(b"%d" % i for i in range(3)) + b"\n\xff\n"
    assert last_lines(log, 4) == "0\n1\n2\n\ufffd"
    assert last_lines(log).split("\n")[:2] == ["one", "two"]
    assert last_lines(b"") == ""


def test_a_trials_command_is_one_that_anybody_can_repeat(tmp_path: Path) -> None:
    path = written(tmp_path, cells=cells("a"), seeds=[1])
    sweep = load_sweep(path, small=True, overrides=["seeds=[1]"])
    tail = ["-m", "reasondistill.cli", "sweep", str(path), "--small", "--set", "seeds=[1]", "--cell", "a-s1"]
    assert command_of(sweep, sweep.trials[0], "process", 2) == [sys.executable, *tail]
    launched = command_of(sweep, sweep.trials[0], "accelerate", 2)
    assert launched[:5] == [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "1"]
    assert launched[-len(tail) :] == tail
