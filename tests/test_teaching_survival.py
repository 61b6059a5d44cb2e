"""Teaching runs that are killed and interrupted: what was answered is kept, and not asked again."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from forked import Forked
from reasondistill.contracts.teaching import Teaching
from reasondistill.data import load
from reasondistill.teachers.reply_store import ReplyStore
from reasondistill.teachers.teach_settings import TeachConfig
from reasondistill.teachers.teacher_questions import Kept
from reasondistill.teachers.teaching_material import config_of, material, store_of
from scripted_server import Reply, ScriptedServer, Sent, completion, serving


def slow(sent: Sent) -> Reply:
    """A hundredth of a second, and now and then a failure that passes."""
    reply = completion(sent)
    if sent.digest % 11 == 0 and sent.number == 0:
        return Reply({"error": {"message": "oh"}}, status=500)
    reply.delay = 0.01
    return reply


def start(folder: Path, url: str, rows: int, *options: str) -> Forked:
    words = ["teach", f"scenes:{rows}", "--base-url", url, "--model", "m", "--out", str(folder)]
    more = ["--mode", "label_then_explanation", "--set", "teachers.limits.concurrent=8", *options]
    more += ["--set", "teachers.prices={input: 1, output: 2}"]
    return Forked([*words, *more])


def requests_of(config: TeachConfig, rows: int, store: ReplyStore) -> list[Kept]:
    ready = material(config, load(f"scenes:{rows}"))
    return list(ready.asking(config.teachers[0], opened=False).requests(ready.rows.examples, store.get))


def answered_questions(folder: Path, rows: int) -> set[str]:
    """The questions whose answer is in the store."""
    if not (folder / "teaching.json").is_file():
        return set()
    config = config_of(folder)
    kept = requests_of(config, rows, store_of(config))
    return {k.request.messages[-1]["content"] for k in kept if k.kept.answer is not None}


def times_sent(server: ScriptedServer) -> Counter[str]:
    return Counter(sent.question for sent in server.sent)


def killed_and_resumed(tmp_path: Path, server: ScriptedServer, rows: int, kills: int) -> None:
    """Kill a run at random moments, finish it, and compare it with one that nobody disturbed."""
    rng = random.Random(kills)
    folder = tmp_path / "killed" / "run"
    done: list[tuple[set[str], Counter[str]]] = []
    for _ in range(kills):
        process = start(folder, server.url, rows, *(["--resume"] if (folder / "teaching.json").is_file() else []))
        sent = len(server.sent)
        aim = sent + rng.randrange(1, max(2, rows // kills))
        while len(server.sent) < aim and process.poll() is None:
            time.sleep(0.005)
        time.sleep(rng.random() * 0.02)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        time.sleep(0.1)  # handlers of its last requests
        done.append((answered_questions(folder, rows), times_sent(server)))
    assert start(folder, server.url, rows, "--resume").wait(300) == 0
    finally_sent = times_sent(server)
    assert any(0 < len(answered) < rows for answered, _ in done), "no kill came in the middle"
    for answered, before in done:
        assert {q: finally_sent[q] for q in answered} == {q: before[q] for q in answered}
    counts = [len(answered) for answered, _ in done]
    assert counts == sorted(counts), "an answer was lost"

    assert server.cost(1.0, 2.0) <= Teaching.load(folder / "teaching.json").cost_at_most

    undisturbed = tmp_path / "undisturbed" / "run"
    assert start(undisturbed, server.url, rows).wait(300) == 0
    for name in ("accepted.jsonl", "answers.jsonl", "rejected.jsonl"):
        assert (folder / name).read_bytes() == (undisturbed / name).read_bytes(), name
    assert Teaching.load(folder / "teaching.json").usable == rows


def test_killed_runs_end_as_undisturbed_ones(tmp_path: Path) -> None:
    with serving(slow) as server:
        killed_and_resumed(tmp_path, server, rows=120, kills=2)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.timeout(3600)  # two dozen processes, each some seconds until it asks; minutes each on a busy machine
def test_twenty_kills_over_a_thousand_rows(tmp_path: Path) -> None:
    with serving(slow) as server:
        killed_and_resumed(tmp_path, server, rows=1000, kills=20)


def test_ctrl_c_keeps_what_was_on_its_way(tmp_path: Path) -> None:
    def script(sent: Sent) -> Reply:
        return Reply(completion(sent).body, delay=0.3)

    folder = tmp_path / "run"
    with serving(script) as server:
        process = start(folder, server.url, 200)
        while len(server.sent) < 30:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert sum(server.answered.values()) == len(server.sent) < 200
        assert len(answered_questions(folder, 200)) == len(server.sent)
        teaching = Teaching.load(folder / "teaching.json")
        assert (teaching.status, teaching.usable) == ("stopped", len(server.sent))


def test_a_second_run_waits_for_the_first(tmp_path: Path) -> None:
    gate = threading.Event()

    def script(sent: Sent) -> Reply:
        gate.wait(120)
        return completion(sent)

    with serving(script) as server:
        first = start(tmp_path / "one", server.url, 20)
        while not server.sent:
            time.sleep(0.01)
        second = start(tmp_path / "two", server.url, 20)
        assert second.wait(100) == 2, "it could ask the same questions"
        assert not (tmp_path / "two").exists()
        gate.set()
        assert first.wait(60) == 0
        assert set(times_sent(server).values()) == {1}
