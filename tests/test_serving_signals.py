"""What a service does when it is told to leave, is killed, or gets a new student, all while others ask it."""

from __future__ import annotations

import json
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import reasondistill as rd
from reasondistill.data.feedback_rows import read_feedback
from reasondistill.data.scenes import generate
from services import EXAMPLE, Running, export_scenes, running, until

KEY = "a-key-of-forty-letters-and-some-digits-42"
EXAMPLES = [example.fields for example in generate(60, seed=4)]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two of one student: with its own weights, and rounded."""
    return (
        export_scenes(tmp_path_factory.mktemp("one")),
        export_scenes(tmp_path_factory.mktemp("two"), quantization="int8"),
    )


class Load:
    """Clients that ask one question after the other, until they are told to stop or are refused a connection."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.fingerprints: Counter[str] = Counter()
        self.broken: list[Exception] = []
        self.stop = threading.Event()

    def ask(self, service: Running, number: int) -> None:
        while not self.stop.is_set():
            number += 1
            try:
                reply = service.post("/v1/explain", EXAMPLES[number % len(EXAMPLES)])
            except httpx.ConnectError:
                return
            except httpx.HTTPError as error:
                self.broken.append(error)
                return
            self.statuses[reply.status_code] += 1
            if reply.status_code == 200:
                self.fingerprints[reply.json()["student"]] += 1


@contextmanager
def under_load(service: Running, clients: int = 8) -> Iterator[Load]:
    load = Load()
    threads = [threading.Thread(target=load.ask, args=(service, 7 * n)) for n in range(clients)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: load.broken or load.statuses.total() > 2 * clients, "answers under load")
        yield load
    finally:
        load.stop.set()
        for thread in threads:
            thread.join()


def test_sigterm_under_load_answers_all_that_was_taken(packages: tuple[Path, Path]) -> None:
    with running(packages[0], "--drain-seconds", 5) as service, under_load(service) as load:
        service.process.send_signal(signal.SIGTERM)
        until(lambda: service.get("/ready").status_code == 503, "no longer ready")
        assert service.get("/ready").headers["connection"] == "close"
        assert service.process.wait(timeout=30) == 0
    service._reader.join(timeout=10)
    logged = [json.loads(line) for line in service.log]
    taken = [line for line in logged if line.get("route") == "/v1/explain"]
    assert {line["status"] for line in taken} == {200}
    assert load.statuses == {200: len(taken)}
    assert sum(load.statuses.values()) > 20


def test_feedback_that_was_answered_survives_kill_9(packages: tuple[Path, Path], tmp_path: Path) -> None:
    store = tmp_path / "feedback.sqlite"
    kept: list[str] = []

    def say(service: Running, number: int) -> None:
        for turn in range(100):
            body = {
                "example": EXAMPLE,
                "answer": {"label": "neutral", "explanation": "x"},
                "verdict": "wrong",
                "label": "contradiction",
                "by": f"{number} {turn}",
            }
            try:
                reply = service.post("/v1/feedback", body)
            except httpx.HTTPError:
                return
            if reply.status_code == 201:
                kept.append(f"{number} {turn}")

    with running(packages[0], "--feedback", store) as service:
        threads = [threading.Thread(target=say, args=(service, n)) for n in range(4)]
        for thread in threads:
            thread.start()
        until(lambda: len(kept) >= 12, "twelve that are kept")
        service.process.kill()
        for thread in threads:
            thread.join()
    said = {each.by for each in read_feedback(store)}
    assert said >= set(kept)
    assert len(said) <= len(kept) + 4  # one of each may have been written and not answered
    with running(packages[0], "--feedback", store) as service:
        again = {
            "example": EXAMPLE,
            "answer": {"label": "neutral", "explanation": "x"},
            "verdict": "wrong",
            "label": "contradiction",
            "by": kept[0],
        }
        assert service.post("/v1/feedback", again).json()["status"] == "known"


def test_a_new_package_takes_the_place_of_the_old_one_without_losing_a_request(
    packages: tuple[Path, Path], tmp_path: Path
) -> None:
    place = tmp_path / "served"
    (tmp_path / "keys").write_text(f"{KEY}\n")
    old, new = (rd.Student.load(package).fingerprint for package in packages)
    assert old != new
    shutil.copytree(packages[0], place)
    with running(place) as service, under_load(service) as load:
        place.rename(tmp_path / "old")
        shutil.copytree(packages[1], place)
        service.process.send_signal(signal.SIGHUP)
        with service.client() as client:
            until(lambda: client.info().students[0].fingerprint == new, "the new student")
            assert client.explain(EXAMPLE).student == new
        until(lambda: load.broken or load.fingerprints[new], "its answers under load")
        # What cannot be loaded leaves the one that is there.
        (place / "model.bin").write_bytes(b"damaged")
        service.process.send_signal(signal.SIGHUP)
        until(lambda: any("reload_refused" in line for line in service.log), "the refusal")
        assert service.client().explain(EXAMPLE).student == new
    assert load.broken == []
    assert set(load.statuses) == {200}
    assert set(load.fingerprints) == {old, new}


def test_a_student_is_loaded_anew_by_who_has_a_key(packages: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"{KEY}\n")
    place = tmp_path / "served"
    shutil.copytree(packages[0], place)
    with running(place, "--api-key-file", tmp_path / "keys") as service:
        place.rename(tmp_path / "old")
        shutil.copytree(packages[1], place)
        allowed = {"Authorization": f"Bearer {KEY}"}
        assert service.post("/admin/reload").status_code == 401
        assert service.post("/admin/reload?student=other", headers=allowed).status_code == 404
        reply = service.post("/admin/reload", headers=allowed)
        assert reply.status_code == 200
        assert reply.json()["fingerprint"] == rd.Student.load(packages[1]).fingerprint
